"""Checkpoints in every layout, small and made here; no ESPnet task is imported."""

import copy
import zipfile
from pathlib import Path

import torch
import yaml
from tiny_experiment import ENCODER_CONF, TOKENS, train_config

from espnet_blankskip.encoders import ENCODERS
from espnet_blankskip.upstream import CTC, stock_encoder

FEATS = 20
E_BRANCHFORMER_CONF = dict(
    output_size=16,
    attention_heads=2,
    linear_units=24,
    cgmlp_linear_units=32,
    cgmlp_conv_kernel=7,
    num_blocks=4,
    use_ffn=True,
    macaron_ffn=True,
    merge_conv_kernel=3,
)


def stock_config(**changes) -> dict:
    """A stock conformer's config; `encoder_conf` given here is added to the default."""
    extra = changes.pop("encoder_conf", {})
    config = copy.deepcopy(train_config(skipping=False))
    config.update(changes)
    config["encoder_conf"] = {**config["encoder_conf"], **extra}
    return config


def light_state(encoder="conformer", encoder_conf=None, feats=FEATS):
    """Weights of an encoder and a CTC head, named as in a whole model."""
    torch.manual_seed(0)
    conf = encoder_conf or ENCODER_CONF
    cls = ENCODERS.get(encoder) or stock_encoder(encoder)
    parts = {
        "encoder": cls(input_size=feats, **conf),
        "ctc": CTC(len(TOKENS), conf["output_size"]),
    }
    return {
        f"{part}.{name}": tensor
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }


def write_folder(folder: Path, config: dict, state) -> Path:
    """An experiment folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(state, folder / "valid.loss.ave.pth")
    return folder


def write_zip(path: Path, folder: Path, meta=None, extra=()) -> Path:
    """A zip as espnet2.bin.pack lays it out.

    Args:
        path: the zip.
        folder: experiment folder to put in.
        meta: additions to meta.yaml.
        extra: (name or ZipInfo, bytes) of further members.
    """
    listed = {
        "yaml_files": {"asr_train_config": "exp/config.yaml"},
        "files": {"asr_model_file": "exp/valid.loss.ave.pth"},
        **(meta or {}),
    }
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("meta.yaml", yaml.safe_dump(listed))
        for file in sorted(folder.iterdir()):
            opened.write(file, f"exp/{file.name}")
        for name, content in extra:
            opened.writestr(name, content)
    return path
