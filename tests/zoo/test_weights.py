"""Weights are read as weights: no pickle runs, every number is counted."""

import os
import pickle

import pytest
import torch
from tiny_checkpoints import light_state

from espnet_blankskip.zoo import CheckpointError
from espnet_blankskip.zoo.weights import (
    count_layers,
    count_parameters,
    encoder_kind,
    read_weights,
)


class Runs:
    """Unpickling this would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_pickle_that_would_run_code_does_not_run(writer, tmp_path):
    ran, file = tmp_path / "ran", tmp_path / "m.pth"
    bad = {"ctc.ctc_lo.weight": torch.zeros(1), "x": Runs(ran)}
    if writer == "torch":
        torch.save(bad, file)
    else:
        file.write_bytes(pickle.dumps(bad))
    with pytest.raises(CheckpointError, match=r"m\.pth") as caught:
        read_weights(file)
    assert not ran.exists()
    assert "\n" not in str(caught.value)


def test_refusal_says_why(tmp_path):
    torch.save({"x": Runs(tmp_path / "ran")}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match="would run code when loaded"):
        read_weights(tmp_path / "m.pth")


BAD_FILES = {
    "empty": b"",
    "text": b"hello",
    "missing": None,
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_damaged_weights_are_named(case, tmp_path):
    file = tmp_path / "m.pth"
    if BAD_FILES[case] is not None:
        file.write_bytes(BAD_FILES[case])
    with pytest.raises(CheckpointError, match=r"m\.pth"):
        read_weights(file)


def test_truncated_weights_are_named(tmp_path):
    file = tmp_path / "m.pth"
    torch.save(light_state(), file)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"m\.pth"):
        read_weights(file)


def test_trainers_resume_file_is_recognized(tmp_path):
    file = tmp_path / "checkpoint.pth"
    torch.save({"model": light_state(), "optimizers": []}, file)
    with pytest.raises(CheckpointError, match="resume file"):
        read_weights(file)


def test_parameters_are_counted_as_the_module_counts_them():
    from tiny_experiment import ENCODER_CONF

    from espnet_blankskip.upstream import ConformerEncoder

    encoder = ConformerEncoder(input_size=20, **ENCODER_CONF)
    counts = count_parameters(light_state())
    assert counts["encoder"] == sum(p.numel() for p in encoder.parameters())
    assert counts["ctc"] == 7 * 16 + 7
    assert counts["total"] == counts["encoder"] + counts["ctc"]


def test_layers_and_kind_are_read_off_the_weights():
    state = light_state()
    assert (count_layers(state), encoder_kind(state)) == (4, "conformer")
    assert count_layers({"ctc.ctc_lo.weight": torch.zeros(1)}) == 0
