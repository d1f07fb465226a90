"""OWSM-CTC v4's architecture and config keys at tiny widths, with random weights."""

import zipfile
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
    frontend_conf=dict(n_fft=512, win_length=400, hop_length=160, n_mels=128, fs="16k"),
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


def write_owsm(folder: Path, speech):
    """Write an experiment that ESPnet's own task has built.

    Args:
        folder: where config.yaml, model.pth and bpe.model go.
        speech: some seconds of it (S,), which the head is made to tell apart.

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
    espnet_blankskip.register()
    torch.manual_seed(0)
    model = s2t_ctc_task().build_model(Namespace(**config))
    _make_decided(model, speech)
    config_file, model_file = folder / "config.yaml", folder / "model.pth"
    config_file.write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), model_file)
    return config_file, model_file


def write_published(path: Path, files) -> Path:
    """Write a zip as ESPnet packs one, from the paths that `write_owsm` returns."""
    config = yaml.safe_load(files[0].read_text())
    config["bpemodel"] = "exp/bpe.model"
    meta = {
        "yaml_files": {"s2t_train_config": "exp/config.yaml"},
        "files": {"s2t_model_file": "exp/model.pth"},
    }
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("meta.yaml", yaml.safe_dump(meta))
        opened.writestr("exp/config.yaml", yaml.safe_dump(config))
        for name in ("bpe.model", "model.pth"):
            opened.write(files[0].parent / name, f"exp/{name}")
    return path


@torch.no_grad()
def _make_decided(model, speech) -> None:
    """A head that is sure of many labels, and of blank in half of the frames.

    Every layer that it reads gets states around zero, of much the same length. In
    windows filled up with silence, as models of this kind hear them.
    """
    model.eval()
    for module in model.modules():
        if hasattr(module, "use_flash_attn"):
            module.use_flash_attn = False
    head, generator = model.ctc.ctc_lo, torch.Generator().manual_seed(1)
    head.weight.copy_(torch.randn(head.weight.shape, generator=generator))
    head.weight[0] = 0.0
    head.bias.zero_()
    padded = torch.zeros(1, 30 * 16000)
    padded[0, : len(speech)] = torch.from_numpy(speech)
    heard = 2 + len(speech) // 1280
    one = torch.tensor([1])
    prefix = torch.tensor([[model.token_list.index(t) for t in ("<eng>", "<asr>")]])
    encoder = model.encoder
    layers = [encoder.encoders[n - 1].norm_final for n in encoder.interctc_layer_idx]
    for number, norm in enumerate([*layers, encoder.after_norm]):
        out, intermediate = model.encode(
            padded, one * padded.size(1), one[None] * model.na, one, prefix, one * 2
        )[0]
        states = [*(s for _, s in intermediate), out][number][0, :heard]
        centre = states.mean(0)
        scale = 4.0 / (states - centre).norm(dim=-1).mean()
        norm.weight.mul_(scale)
        norm.bias.sub_(centre).mul_(scale)
        if number == 0:
            best = head(scale * (states - centre))[:, 1:].max(-1).values
            head.bias[0] = best.median() + 0.5
