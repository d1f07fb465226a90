"""A file of weights is read whoever wrapped the model; another is called what it is."""

import datetime
import os
import re

import numpy as np
import pytest
import torch

from espnet_blankskip.checkpoint import read_state_dict

WEIGHTS = {
    "ctc.ctc_lo.weight": torch.ones(2, 3),
    "encoder.embed.out.0.bias": torch.ones(1),
}


class Runs:
    """Unpickling this would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def resume_file():
    """What ESPnet's trainer keeps: its reporter's numbers are numpy's, and times."""
    numbers = {"loss": np.float64(1.5), "kept": np.float32(0.5), "n": np.int64(3)}
    numbers["time"] = datetime.timedelta(seconds=1.5)
    return {
        "model": WEIGHTS,
        "reporter": {"epoch": 1, "stats": {1: {"train": numbers}}},
        "optimizers": [{"state": {}, "param_groups": []}],
        "schedulers": [None],
        "scaler": None,
    }


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path.read_bytes()


def cut(path):
    return saved(path, WEIGHTS)[:-30]


CASES = {
    "empty": (lambda p: b"", "is empty: its download or copy was cut off"),
    "lfs": (
        lambda p: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "is a Git LFS pointer, not the weights themselves: run `git lfs pull`",
    ),
    "page": (lambda p: b"\n<!DOCTYPE html><html>404", "is a web page"),
    "text": (lambda p: b"encoder: conformer\n", "is no checkpoint: torch.save writes"),
    "cut": (cut, "is cut off or damaged: get it anew"),
    "resume": (
        lambda p: saved(p, resume_file()),
        "is the trainer's resume file, not a model: use 3epoch.pth, valid.loss.ave.pth",
    ),
    "code": (
        lambda p: saved(p, {"x": Runs(p.parent / "ran")}),
        "is refused, it holds more than weights (a pickle that would run code when "
        "loaded: posix.mkdir): ask its maker for torch.save(model.state_dict())",
    ),
    "old-code": (
        lambda p: saved(
            p, {"x": Runs(p.parent / "ran")}, _use_new_zipfile_serialization=False
        ),
        "would run code when loaded: posix.mkdir",
    ),
    "list": (lambda p: saved(p, [1]), "is not a state dict: it holds a list"),
    "other": (
        lambda p: saved(p, {"epoch": 1, "state": WEIGHTS}),
        "is not a state dict: it holds the keys epoch, state",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_a_model_is_called_what_it_is(case, tmp_path):
    make, words = CASES[case]
    for name in ("valid.loss.ave.pth", "3epoch.pth", "checkpoint.pth"):
        (tmp_path / name).touch()
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(make(path))
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        read_state_dict(path)
    line = str(error.value)
    assert line.startswith(f"--asr_model_file {path} ") and "\n" not in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda name: name,
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: name.replace("encoder.", "encoder._orig_mod."),
        lambda name: f"_fsdp_wrapped_module.{name}".replace(
            "encoder.", "encoder._checkpoint_wrapped_module."
        ),
    ],
    ids=["plain", "ddp", "compiled", "both", "other-way", "part", "fsdp"],
)
@pytest.mark.parametrize("new_format", [True, False])
def test_names_are_the_models_own_whatever_it_was_wrapped_in(
    wrapped, new_format, tmp_path
):
    path = tmp_path / "m.pth"
    state = {wrapped(name): value for name, value in WEIGHTS.items()}
    torch.save(state, path, _use_new_zipfile_serialization=new_format)
    found = read_state_dict(path)
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], value) for name, value in WEIGHTS.items())
