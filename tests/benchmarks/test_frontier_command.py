"""What ``python -m benchmarks.frontier`` does with what is typed, and with time."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.frontier import __main__ as command_line
from benchmarks.frontier import training
from benchmarks.frontier.__main__ import main
from benchmarks.frontier.rows import ROWS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command, message",
    [
        (["train", "by5-gate3"], f"no row by5-gate3; there are: {next(iter(ROWS))},"),
        (["train", "dense:one"], "dense:one: a seed is a whole number"),
        (["train", "dense"], "no features in .*/librispeech: `prepare` makes them"),
        (["table", "an4"], "no row of an4 has been read yet"),
        (["ngram", "dense:2", "--arpa", "x"], "dense:2 is not read yet: train it"),
        (["sweep", "dense"], "dense:1 is not read yet: train it"),
    ],
    ids=["row", "seed", "features", "table", "ngram", "sweep"],
)
def test_what_is_not_there_is_named(command, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        main([*command, "--folder", str(tmp_path)])


def test_sets_to_pack_are_checked_as_they_are_typed(tmp_path, capsys):
    for typed in ("train", f"train={tmp_path}"):
        with pytest.raises(SystemExit):
            main(["pack", str(tmp_path / "tar"), typed])
        assert f"{typed} names no folder with a wav.scp" in capsys.readouterr().err


def test_no_minutes_are_time_for_no_step(prepared, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(ROWS, "tiny", replace(tiny, corpus="an4"))
    (tmp_path / "an4").symlink_to(prepared)
    command = ["train", "tiny", "--minutes", "0", "--steps", "2", "--device", "cpu"]
    assert main([*command, "--frames", "1000", "--folder", str(tmp_path)]) == 0
    assert "tiny:1 stopped with a checkpoint" in capsys.readouterr().out
    saved = torch.load(tmp_path / "tiny.1" / training.RESUME, weights_only=True)
    assert saved["step"] == 0


def test_rows_wait_for_those_that_they_begin_with(tmp_path, monkeypatch, capsys):
    started = {}

    def start(_, row, seed, __):
        needs = {(ROWS[row].trunk, seed), (ROWS[row].init, seed)} & set(wanted)
        assert all(started[pair].poll() is not None for pair in needs)
        ending = "false" if row == "an4-dense" else "sleep 0.3"
        started[row, seed] = subprocess.Popen(["sh", "-c", ending])
        return started[row, seed]

    monkeypatch.setattr(command_line, "_start", start)
    names = ["gate2", "dense", "an4-dense", "an4-layers4-gate2", "an4-layers4"]
    wanted = [(name, 1) for name in names]
    command = ["train", *names, "dense:1", "--jobs", "3", "--folder", str(tmp_path)]
    assert main(command) == 1
    assert len(started) == 5 and list(started)[-1] == ("gate2", 1)
    said = capsys.readouterr().out
    assert f"an4-dense:1 FAILED, see {tmp_path}/an4-dense.1/train.log" in said
    assert "gate2:1 ended" in said


@pytest.mark.slow
def test_killed_training_goes_on_in_a_new_process(prepared, tmp_path):
    (tmp_path / "an4").symlink_to(prepared)
    command = [sys.executable, "-m", "benchmarks.frontier", "train", "an4-layers4"]
    command += ["--steps", "40", "--frames", "1000", "--folder", str(tmp_path)]
    first = subprocess.Popen(command, cwd=REPOSITORY)
    checkpoint = tmp_path / "an4-layers4.1" / training.RESUME
    while not checkpoint.is_file() and first.poll() is None:
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    step = torch.load(checkpoint, weights_only=True)["step"]
    assert step > 0
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0
    assert json.loads((checkpoint.parent / "readings.json").read_text())["test"]
