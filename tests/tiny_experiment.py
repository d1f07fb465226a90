"""A small ASR experiment with random weights, in the files that ESPnet writes."""

from argparse import Namespace
from pathlib import Path

import torch
import yaml

TOKENS = ["<blank>", "<unk>", "one", "two", "three", "four", "<sos/eos>"]

ENCODER_CONF = dict(
    output_size=16,
    attention_heads=2,
    linear_units=32,
    num_blocks=4,
    dropout_rate=0.0,
    input_layer="conv2d",
    rel_pos_type="latest",
    macaron_style=True,
    cnn_module_kernel=7,
)
SKIPPING = dict(gate_layers=[2], blank_threshold=0.6, spike_extension=0)


def train_config(skipping: bool = True, factorized: bool = False, **changes) -> dict:
    """What ESPnet would write to `config.yaml`."""
    config = dict(
        token_list=TOKENS,
        token_type="word",
        bpemodel=None,
        non_linguistic_symbols=None,
        cleaner=None,
        g2p=None,
        use_preprocessor=True,
        init=None,
        input_size=None,
        frontend="default",
        frontend_conf=dict(fs="8k", n_fft=256, hop_length=80, n_mels=20),
        specaug=None,
        normalize="utterance_mvn",
        normalize_conf={},
        preencoder=None,
        postencoder=None,
        decoder=None,
        encoder="blankskip_conformer" if skipping else "conformer",
        encoder_conf=dict(ENCODER_CONF, **(SKIPPING if skipping else {})),
        ctc_conf={},
        model="blankskip" if skipping else "espnet",
        model_conf=dict(ctc_weight=1.0),
    )
    if factorized:
        config["model_conf"]["factorized_ctc"] = True
        config["model_conf"]["interctc_weight"] = 0.3
        config["encoder_conf"]["interctc_layer_idx"] = [2]
    config.update(changes)
    return config


def build_model(config: dict, seed: int = 0) -> torch.nn.Module:
    """Build it with weights that make about half of the frames blank."""
    import espnet_blankskip
    from espnet_blankskip.upstream import asr_task

    espnet_blankskip.register()
    torch.manual_seed(seed)
    model = asr_task().build_model(Namespace(**config)).eval()
    with torch.no_grad():
        head = model.ctc.ctc_lo
        head.weight.mul_(8.0)  # random heads are flat; make decisions clear
        head.bias[-1] = -20.0  # nobody is trained to say <sos/eos>
        head.bias[1] = -20.0
        head.bias[0] = 6.0 if model.ctc.__class__.__name__ == "CTC" else 4.0
    return model


def write_experiment(folder: Path, seed: int = 0, **options):
    """Write `config.yaml` and `model.pth`; return the two paths."""
    config = train_config(**options)
    model = build_model(config, seed)
    folder.mkdir(parents=True, exist_ok=True)
    config_file, model_file = folder / "config.yaml", folder / "model.pth"
    config_file.write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), model_file)
    return config_file, model_file
