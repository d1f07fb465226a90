"""Input layers are timed only where they are what they should be."""

import pytest

from benchmarks import __main__ as runner
from benchmarks import front

SMALL = "--layers 2 --width 16 --seconds 1 --repeats 1".split()


def test_every_layer_gets_its_row(capsys):
    assert runner.main(["front", *SMALL]) == 0
    printed = capsys.readouterr().out
    for name in front.LAYERS:
        assert printed.count(f"| {name} |") == 2


def test_training_steps_are_timed_too(capsys):
    assert runner.main(["front", *SMALL, "--train", "2"]) == 0
    printed = capsys.readouterr().out
    assert "batch 2" in printed
    for name in front.LAYERS:
        assert printed.count(f"| {name} |") == 1


@pytest.mark.parametrize("broken", ["naive_subsample", "accelerate"])
def test_no_speed_is_printed_for_unequal_outputs(broken, capsys, monkeypatch):
    right = getattr(front, broken)

    def wrong(module, *args):
        result = right(module, *args)
        if broken == "accelerate":
            result.after_norm.bias.data += 1.0
            return result
        return result + 1.0

    monkeypatch.setattr(front, broken, wrong)
    assert runner.main(["front", *SMALL]) == 1
    printed = capsys.readouterr().out
    assert "not timed" in printed and "layer [ms]" not in printed
