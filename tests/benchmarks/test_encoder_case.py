"""The encoder benchmark proves equality first and saves what it measured."""

import time

import pytest
import torch

from benchmarks import __main__ as runner
from benchmarks import encoder, timing
from espnet_blankskip.acceleration.convolution import AcceleratedDepthwiseConv

SMALL = "--layers 2 --width 16 --heads 2 --gate 1 --vocabulary 9 --keep 0.3".split()
SMALL = ["encoder", *SMALL, "--repeats", "1"]


@pytest.mark.parametrize("options", [[], ["--factorized"], ["--rel-pos", "legacy"]])
def test_ratios_stand_beside_their_flop_ideal(options, capsys):
    assert runner.main([*SMALL, "--seconds", "1", *options]) == 0
    printed = capsys.readouterr().out
    assert "from its naive twin differs by" in printed
    assert "1 thread(s)" in printed
    dense, skipping = printed.splitlines()[-2:]
    assert dense.startswith("| dense | 1 s | 1 |")
    assert skipping.startswith("| skipping | 1 s | 1 | 30% |")
    assert skipping.count("x |") == 4  # speed-up, limit, skipping alone, FLOP ideal
    assert "GFLOP/s" in printed


def test_mixed_lengths_are_timed_each_way(capsys, monkeypatch):
    monkeypatch.setattr(encoder, "MIXED_SECONDS", [0.5, 1.0, 0.7])
    assert runner.main([*SMALL, "--lengths", "mixed", "--batch", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("2 as they come") == printed.count("2 of like length") == 2


def test_no_speed_is_printed_for_unequal_outputs(capsys, monkeypatch):
    monkeypatch.setattr(
        AcceleratedDepthwiseConv, "forward", lambda self, x: torch.zeros_like(x)
    )
    assert runner.main([*SMALL, "--seconds", "1"]) == 1
    printed = capsys.readouterr().out
    assert "not timed" in printed and "speed-up" not in printed


def test_one_thread_is_timed_by_the_clock_of_the_process():
    assert timing.clock("cpu", 1) is time.process_time
    assert timing.clock("cpu", 2) is time.perf_counter
