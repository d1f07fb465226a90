"""The benchmark of exported models proves equality first."""

import pytest
import torch

from benchmarks import __main__ as runner
from benchmarks import exported

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

SMALL = "--layers 2 --width 16 --heads 2 --gate 1 --vocabulary 9 --keep 0.3".split()
SMALL = ["exported", *SMALL, "--repeats", "1", "--seconds", "1", "--ways"]


def test_engines_stand_beside_the_limit(capsys):
    assert runner.main([*SMALL, "onnxruntime-float32", "onnxruntime-int8"]) == 0
    printed = capsys.readouterr().out
    assert "onnxruntime-float32: same frames, log-probabilities within" in printed
    float32, int8 = printed.splitlines()[-2:]
    assert float32.startswith("| onnxruntime | float32 | 1 s | 2")
    assert int8.startswith("| onnxruntime | int8 | 1 s |")
    assert int8.count("x |") == 2 and "% |" in int8


def test_no_speed_is_printed_for_other_scores(capsys, monkeypatch):
    head = exported.FactorizedCTC

    class Other(head):
        def log_softmax(self, states):
            return super().log_softmax(states) + torch.tensor(0.1)

    monkeypatch.setattr(exported, "FactorizedCTC", Other)
    assert runner.main([*SMALL, "onnxruntime-float32"]) == 1
    assert "not timed: onnxruntime-float32 differs by" in capsys.readouterr().out
