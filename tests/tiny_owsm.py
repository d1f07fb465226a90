"""OWSM-CTC v4's architecture and config keys at tiny widths, with random weights."""

from argparse import Namespace
from pathlib import Path

import sentencepiece
import torch
import yaml

import espnet_blankskip
from espnet_blankskip.upstream import s2t_ctc_task

SPECIAL = ["<na>", "<nolang>", "<eng>", "<deu>", "<asr>", "<st_deu>"]
LAST = ["<sop>", "<sos>", "<eos>"]
SENTENCES = ["the sale of the hotels is part of a strategy to sell off assets"] * 8

# egs2/owsm_ctc_v4/s2t1/conf, but for widths; ESPnet's defaults as it writes them
ENCODER_CONF = dict(
    output_size=32,
    attention_heads=2,
    attention_layer_type="selfattn",
    pos_enc_layer_type="abs_pos",
    rel_pos_type="latest",
    cgmlp_linear_units=48,
    cgmlp_conv_kernel=31,
    use_linear_after_conv=False,
    gate_activation="identity",
    num_blocks=27,
    dropout_rate=0.1,
    positional_dropout_rate=0.1,
    attention_dropout_rate=0.1,
    input_layer="conv2d8",
    layer_drop_rate=0.0,
    linear_units=48,
    positionwise_layer_type="linear",
    use_ffn=True,
    macaron_ffn=True,
    merge_conv_kernel=31,
    interctc_layer_idx=[6, 12, 15, 21],
    interctc_use_conditioning=True,
    use_cross_attention=[0, 0, 1] * 9,
    use_flash_attn=True,
)
CONFIG = dict(
    input_size=None,
    init=None,
    frontend="default",
    frontend_conf=dict(
        n_fft=512, win_length=400, hop_length=160, n_mels=128, fs="16k"
    ),
    specaug="specaug",
    specaug_conf=dict(
        apply_time_warp=False,
        time_warp_window=5,
        time_warp_mode="bicubic",
        apply_freq_mask=True,
        freq_mask_width_range=[0, 27],
        num_freq_mask=2,
        apply_time_mask=True,
        time_mask_width_ratio_range=[0.0, 0.05],
        num_time_mask=10,
    ),
    normalize="utterance_mvn",
    normalize_conf={},
    encoder="e_branchformer_ctc",
    encoder_conf=ENCODER_CONF,
    promptencoder="transformer",
    promptencoder_conf=dict(
        output_size=16,
        attention_heads=2,
        linear_units=24,
        num_blocks=4,
        use_flash_attn=True,
    ),
    ctc_conf={},
    model="espnet_ctc",
    model_conf=dict(
        interctc_weight=0.8,
        sym_na="<na>",
        ctc_asr_only=[True, True, True, False, False],
    ),
    preprocessor="s2t_ctc",
    preprocessor_conf=dict(
        na_symbol="<na>",
        speech_length=30,
        speech_init_silence=30,
        text_prev_apply_prob=0.5,
        lang_apply_prob=0.5,
        nolang_symbol="<nolang>",
        fs=16000,
    ),
    use_preprocessor=True,
    token_type="bpe",
    cleaner=None,
    g2p=None,
    non_linguistic_symbols=None,
)


def write_owsm(folder: Path, seed: int = 0, **encoder_conf):
    """Write an experiment that ESPnet's own task has built.

    Args:
        folder: where config.yaml, model.pth and bpe.model go.
        seed: of the random weights.
        **encoder_conf: changes of the encoder's options.

    Returns:
        Paths of config and weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bpe = folder / "bpe.model"
    with bpe.open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES),
            model_writer=model,
            model_type="bpe",
            vocab_size=48,
            user_defined_symbols=SPECIAL,
            minloglevel=2,
        )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(bpe))
    listed = [pieces.id_to_piece(i) for i in range(len(pieces))]
    listed = [piece for piece in listed if piece not in ("<s>", "</s>", "<unk>")]
    tokens = ["<blank>", "<unk>", *listed, *LAST]
    config = dict(CONFIG, token_list=tokens, bpemodel=str(bpe))
    config["encoder_conf"] = {**ENCODER_CONF, **encoder_conf}
    espnet_blankskip.register()
    torch.manual_seed(seed)
    model = s2t_ctc_task().build_model(Namespace(**config))
    _make_decided(model)
    config_file, model_file = folder / "config.yaml", folder / "model.pth"
    config_file.write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), model_file)
    return config_file, model_file


def _make_decided(model) -> None:
    """Layers that change frames a lot, and a head that is sure of many labels."""
    with torch.no_grad():
        for name, weight in model.encoder.encoders.named_parameters():
            if name.endswith(("w_1.weight", "w_2.weight", "merge_proj.weight")):
                weight.mul_(3.0)
        head = model.ctc.ctc_lo
        head.weight.mul_(4.0)
        head.bias[0] += 6.0
        model.encoder.conditioning_layer.weight.mul_(4.0)
