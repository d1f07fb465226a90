"""``convert`` and ``pack`` leave what they were asked for, or nothing at all."""

import os
import resource
import subprocess
import sys
import tempfile
import time

import pytest
from tiny_experiment import write_experiment

from espnet_blankskip.bin.blankskip import main
from espnet_blankskip.locks import locked


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A stock experiment with an intermediate CTC, and a zip of it."""
    root = tmp_path_factory.mktemp("source")
    encoder = dict(
        output_size=16, attention_heads=2, linear_units=32, num_blocks=3,
        input_layer="conv2d", rel_pos_type="latest", interctc_layer_idx=[2],
    )  # fmt: skip
    write_experiment(root / "exp", skipping=False, encoder_conf=encoder)
    for path in (root / "exp").iterdir():
        os.utime(path, (0, 0))  # as reproducible builds date their files
    assert main(["pack", str(root / "exp"), str(root / "exp.zip")]) == 0
    return root


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """TMPDIR."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def verb(name, source, target):
    gates = ["--gate-layers", "2"] if name == "convert" else []
    return [name, str(source / "exp.zip"), str(target), *gates]


@pytest.mark.parametrize("name", ["convert", "pack"])
def test_a_full_disk_is_one_line_and_leaves_nothing(name, source, scratch, capsys):
    target = scratch.parent / "a/b/made.zip"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, old[1]))
    try:
        status = main(verb(name, source, target))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    line = capsys.readouterr().err.splitlines()[-1]
    assert status in (1, 2) and line.startswith(f"blankskip {name}: ")
    assert "File too large" in line
    assert os.listdir(scratch.parent) == ["scratch"]


@pytest.mark.parametrize("name", ["convert", "pack"])
def test_a_killed_call_leaves_nothing(name, source, scratch):
    target = scratch.parent / "made.zip"
    call = subprocess.Popen(
        [
            *(sys.executable, "-m", "espnet_blankskip.bin.blankskip"),
            *verb(name, source, target),
        ],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    begun = "blankskip_pack_*" if name == "pack" else "../made.zip.part"
    while not list(scratch.glob(begun)) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert list(scratch.glob("blankskip_*"))
    call.kill()
    call.wait()
    deadline = time.monotonic() + 60  # its start may have taken most of the first
    while os.listdir(scratch) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.listdir(scratch) == []
    left = set(os.listdir(scratch.parent)) - {"scratch", ".made.zip.lock"}
    assert not left, "a lock file nobody holds is no lock"


@pytest.mark.parametrize("name", ["convert", "pack"])
def test_one_call_at_a_time_makes_a_target(name, source, scratch, capsys):
    target = scratch.parent / "made.zip"
    with locked(target, "somebody"):
        assert main(verb(name, source, target)) in (1, 2)
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{target} is in use by somebody (process {os.getpid()} on" in line
    assert not target.exists()
