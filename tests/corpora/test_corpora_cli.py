"""The command line: every user error is one line and a code, never a traceback."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from espnet_blankskip.corpora import CorpusOptions, finding, prepare_corpus
from espnet_blankskip.corpora.cli import main
from espnet_blankskip.locks import locked

COMMAND = [sys.executable, "-m", "espnet_blankskip.corpora"]


def run(*arguments, cwd, **environment):
    return subprocess.run(
        arguments,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_two_preparations_of_one_folder_are_refused_in_one_line(tmp_path, capsys):
    with locked(tmp_path / "data", "a test", "corpus"):
        assert main(["fsdd", "--output", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert "data is in use by a test (process" in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "required: CORPUS"),
        (["fsdd", "--train-hour", "1"], "--train-hour; did you mean --train-hours?"),
        (["fsdd", "--nj", "two"], "--nj: invalid int value: 'two'"),
        (["klingon"], "--corpus klingon must be one of fsdd, mini_an4, an4,"),
        (["lhotse:yes_no"], "has no such corpus; did you mean yesno"),
        (["an4", "--nj", "2", "--train_splits", "a"], "--train_splits does not apply"),
        (["fsdd", "--train_hours", "0"], "--train_hours 0 must be above 0"),
        (["fsdd", "--seed", "-1"], "--seed -1 must be at least 0"),
        (["synthetic", "--nj", "0"], "--nj 0 must be at least 1"),
        (
            ["synthetic", "--exclude_speaker", "f2"],
            "--exclude_speaker does not apply to the corpus synthetic",
        ),
        (
            ["mini_an4", "--train-hours", "2"],
            "--train-hours does not apply to the corpus mini_an4",
        ),
    ],
)
def test_a_wrong_command_line_is_one_line_that_points_to_help(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and message in said and "Error" not in said
    assert said.startswith("corpora: ") and said.endswith("corpora --help)\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "corpus, environment, message",
    [
        ("fsdd", {"FSDD": "/no/where"}, "FSDD=/no/where does not exist"),
        ("fsdd", {"FSDD": "."}, "no file like 7_jackson_32.wav in"),
        ("mini_an4", {"MINI_AN4": "."}, "no downloads.tar.gz or an4/etc"),
    ],
)
def test_a_missing_source_is_one_line(tmp_path, corpus, environment, message):
    done = run(*COMMAND, corpus, cwd=tmp_path, **environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("corpora: ") and message in done.stderr
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_too_little_disk_space_is_seen_before_anything_is_made(tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(total=10**12, used=10**12 - 10**9, free=10**9)
    monkeypatch.setattr(finding.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="too little disk space, 1.0 GB free and"):
        prepare_corpus("synthetic", tmp_path / "data", CorpusOptions())
    assert not (tmp_path / "data").exists()


def test_terminated_run_leaves_no_data(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "synthetic", "--train-hours", "50"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("data/.test.partial/wav/*/*.wav")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list((tmp_path / "data").iterdir()) == []


def test_data_script_makes_the_sets_of_a_corpus(recipe, mini_an4):
    command = ["bash", "local/data.sh", "--corpus", "mini_an4"]
    done = run(*command, cwd=recipe, MINI_AN4=str(mini_an4))
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (recipe / "data").iterdir())
    assert names == ["test", "train_dev", "train_nodev"]


def test_data_script_passes_the_failure_on(recipe):
    done = run("bash", "local/data.sh", "--corpus", "klingon", cwd=recipe)
    assert done.returncode == 2
    assert "--corpus klingon must be one of" in done.stderr
    done = run("bash", "local/data.sh", "--corpus", cwd=recipe)
    assert done.returncode == 2
    assert "--corpus needs a value" in done.stderr
