"""The `blankskip` command as people run it: real processes and their exit status."""

import importlib
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from tiny_experiment import write_experiment

from espnet_blankskip.bin.blankskip import COMMANDS, main


def blankskip(*args, cwd=None):
    """Run the command; its output and exit status."""
    return subprocess.run(
        [sys.executable, "-m", "espnet_blankskip.bin.blankskip", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "exp"],
        ["convert", "exp", "new", "--gate-layers", "2"],
        ["calibrate", "exp", "--data", "wav.scp"],
        ["transcribe", "a.wav", "--model", "exp"],
    ],
    ids=lambda words: words[0],
)
def test_an_interrupt_is_one_line_and_status_130(words, tmp_path):
    """In the seconds in which libraries in C are imported, of all times."""
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    write_zip(tmp_path / "exp", [("meta.yaml", "espnet: 0\n")])
    command = ["-X", "importtime", "-m", "espnet_blankskip.bin.blankskip", *words]
    process = subprocess.Popen(
        [sys.executable, *command], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    said, sent = [], False
    for line in process.stderr:
        if not line.startswith("import time:"):
            said.append(line)
        elif not sent and re.search(r"\bnumpy\.", line):
            sent = True
            process.send_signal(signal.SIGINT)
    assert (process.wait(), sent) == (130, True), said
    ours = [line for line in said if "Flash Attention" not in line]  # ESPnet's
    assert ours == [f"blankskip {words[0]}: interrupted\n"]


@pytest.mark.parametrize(
    "stdout, message", [("/dev/full", "No space left"), ("closed", "was closed")]
)
def test_an_output_that_takes_nothing_is_one_line_and_status_1(
    stdout, message, tmp_path
):
    write_experiment(tmp_path / "exp", skipping=False)
    reading, writing = os.pipe()
    os.close(reading)
    target = writing if stdout == "closed" else os.open(stdout, os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, "-m", "espnet_blankskip.bin.blankskip", "inspect", "exp"],
        stdout=target,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    os.close(target)
    lines = [x for x in done.stderr.splitlines() if x.startswith("blankskip inspect")]
    assert done.returncode == 1 and len(lines) == 1 and message in lines[0]
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


class MakesFolder:
    """Unpickling this would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def test_help_does_not_wait_for_torch():
    """CPU seconds, since the machine may be busy with something else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = blankskip("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in COMMANDS)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_a_module_and_help(verb, capsys):
    module = importlib.import_module(COMMANDS[verb][0])
    with pytest.raises(SystemExit) as done:
        module.main(["--help"])
    assert done.value.code == 0
    assert f"blankskip {verb}" in capsys.readouterr().out


def test_unknown_verb_lists_the_known_ones(capsys):
    assert main(["prune"]) == 2
    assert "known: transcribe" in capsys.readouterr().err


def test_no_verb_shows_how_to_use_it(capsys):
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: blankskip")


def corrupt(folder):
    (folder / "m.zip").write_bytes(b"PK\x03\x04 not really")
    return folder / "m.zip", "damaged zip"


def traversal(folder):
    return write_zip(folder / "m.zip", [("../evil", b"x")]), "outside its folder"


def linked(folder):
    info = zipfile.ZipInfo("exp/config.yaml")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return write_zip(folder / "m.zip", [(info, b"/etc/passwd")]), "link or device"


def pickled(folder):
    config, model = folder / "exp/config.yaml", folder / "exp/m.pth"
    config.parent.mkdir()
    config.write_text(yaml.safe_dump({"encoder": "conformer", "token_list": ["a"]}))
    torch.save({"x": MakesFolder(folder / "ran")}, model)
    return config.parent, "would run code"


def absent(folder):
    return folder / "nothing" / "here" / "x", "no such file"


@pytest.mark.parametrize("make", [corrupt, traversal, linked, pickled, absent])
def test_bad_checkpoint_is_one_line_and_status_2(make, tmp_path):
    path, why = make(tmp_path)
    done = blankskip("inspect", path)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("blankskip inspect: ")
    assert why in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path.parent / "evil").exists()


def test_convert_inspect_and_pack_one_after_another(tmp_path):
    write_experiment(tmp_path / "exp/asr", skipping=False)
    config_file = tmp_path / "exp/asr/config.yaml"
    config = yaml.safe_load(config_file.read_text())
    config["encoder_conf"]["interctc_layer_idx"] = [2]
    config_file.write_text(yaml.safe_dump(config))

    done = blankskip(
        "convert", "exp/asr", "exp/new", "--gate-layers", 2, "--factorized",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mean KL" in done.stdout
    assert (tmp_path / "exp/new/README.md").is_file()

    done = blankskip("inspect", "exp/new", "--json", "--kept", 0.25, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["gate_layers"], found["ctc_head"]) == ([2], "factorized")
    assert [row["kept"] for row in found["speed_up"]] == [0.25]
    assert found["untrained"], "it was converted and not trained since"

    done = blankskip("pack", "exp/new", "new.zip", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path / "new.zip").is_file()

    done = blankskip("convert", "new.zip", "exp/new", "--gate-layers", 2, cwd=tmp_path)
    assert done.returncode == 2
    assert "exp/new: exists already" in done.stderr.strip().splitlines()[-1]
