"""Benchmarks prove the outputs equal before they print a speed."""

import pytest

from benchmarks import __main__ as runner
from benchmarks import train_step

SMALL = "--layers 3 --width 16 --gate 1 --batch 2 --keep 0.3 --repeats 1".split()


def test_the_fast_path_is_equal_where_it_is_timed():
    assert train_step.largest_difference_to_naive() < train_step.TOLERANCE


def test_the_training_step_prints_a_ratio(capsys):
    assert runner.main(["train_step", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "equal to the naive twin" in printed
    assert "thread(s)" in printed and "speed-up" in printed


def test_no_speed_is_printed_for_unequal_outputs(capsys, monkeypatch):
    monkeypatch.setattr(train_step, "largest_difference_to_naive", lambda: 0.1)
    assert runner.main(["train_step", *SMALL]) == 1
    printed = capsys.readouterr().out
    assert "not timed" in printed and "speed-up" not in printed


@pytest.mark.parametrize("arguments, status", [([], 0), (["nothing"], 2)])
def test_cases_are_listed(arguments, status, capsys):
    assert runner.main(arguments) == status
    assert "train_step" in capsys.readouterr().out
