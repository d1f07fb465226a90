"""The benchmark of true time proves that its graph is the plugin's encoder."""

import pytest

from benchmarks import __main__ as runner
from benchmarks import true_time

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

SMALL = "--layers 2 --width 16 --heads 2 --gate 1 --vocabulary 9 --repeats 1".split()
SMALL = ["true_time", *SMALL, "--seconds", "1"]


def test_true_time_stands_beside_a_packed_sequence(capsys):
    assert runner.main(SMALL) == 0
    printed = capsys.readouterr().out
    assert "same frames, log-probabilities within" in printed
    row = printed.splitlines()[-1]
    assert row.startswith("| 1 s | 2") and row.endswith("% |")


def test_a_packed_sequence_is_something_else(capsys, monkeypatch):
    monkeypatch.setattr(true_time, "KeptFrames", true_time.Neighbours)
    assert runner.main(SMALL) == 1
    assert "not timed: onnxruntime-float32 differs by" in capsys.readouterr().out
