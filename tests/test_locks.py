"""One writer at a time, told by name, and free again however the writer ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espnet_blankskip import locks
from espnet_blankskip.locks import InUse, locked

HOLD = """
import sys, time
from pathlib import Path
from espnet_blankskip.children import ChildGroup
from espnet_blankskip.locks import locked
with locked(Path(sys.argv[1]), "a test"):
    if len(sys.argv) > 2:  # something that our end does not end
        with ChildGroup() as group:
            group.start([sys.executable, "-c", "import os, time; os.setsid();"
                         f"open({sys.argv[2]!r}, 'w'); time.sleep(2)"])
            while not Path(sys.argv[2]).exists():
                time.sleep(0.01)
            print("held", flush=True)
            time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def holder(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("kind", ["nothing", "file", "folder", "link", "long"])
def test_the_second_is_told_who_the_first_is_until_that_is_killed(kind, tmp_path):
    output = other_name = tmp_path / ("n" * 255 if kind == "long" else "out")
    if kind == "folder":
        output.mkdir()
    if kind == "file":
        output.write_text("old\n")
    if kind == "link":
        other_name = tmp_path / "link"
        other_name.symlink_to(output)
    process = holder(output)
    begun = time.monotonic()
    with pytest.raises(InUse) as error, locked(other_name, "me"):
        pass
    assert time.monotonic() - begun < 5, "a living holder is not waited for"
    line = str(error.value)
    assert line.startswith(
        f"{other_name} is in use by a test (process {process.pid} on"
    )
    assert "\n" not in line
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(output, "me"):
        pass
    found = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in found if name.startswith(".")], "no litter"


def test_what_a_killed_holder_started_is_waited_for(tmp_path):
    process = holder(tmp_path / "out", tmp_path / "started")
    process.kill()
    process.wait()
    begun = time.monotonic()
    with locked(tmp_path / "out", "me"):
        assert 0.2 < time.monotonic() - begun < locks.ENDING_SECONDS


def test_who_goes_on_where_nobody_is_told_is_not_locked_out(tmp_path):
    """A lock file of a killed process holds a name and no lock."""
    (tmp_path / ".out.lock").write_text("a test\t1\telsewhere\t0\n")
    with locked(tmp_path / "out", "me"):
        assert (tmp_path / ".out.lock").read_text().startswith("me\t")
    with locked(tmp_path / "new/folder/out", "me"):
        pass


@pytest.mark.parametrize("name", ["null", "pipe", "nameless pipe"])
def test_what_is_no_file_is_not_locked(name, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # such as a shell hands over for >(gzip > file), and standard output often is
    nameless = os.pipe()
    places = {"null": "/dev/null", "pipe": pipe}
    output = Path(places.get(name, f"/dev/fd/{nameless[1]}"))
    with locked(output, "me"), locked(output, "me too"):
        assert list(tmp_path.iterdir()) == [pipe]
    for end in nameless:
        os.close(end)


def test_a_folder_is_locked_where_that_above_it_is_not_ours(tmp_path, monkeypatch):
    folder = tmp_path / "mounted"
    folder.mkdir()
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path and allowed(path, mode)
    )
    with locked(folder, "me"):
        assert [path.parent for path in tmp_path.rglob(".*")] == [folder]
        with pytest.raises(InUse), locked(folder, "me too"):
            pass
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", [".", "..", "x/.."])
def test_a_hidden_file_is_named_after_a_folder_that_a_path_only_leads_to(
    name, tmp_path, monkeypatch
):
    here = tmp_path / "here/x"
    (here / "x").mkdir(parents=True)
    monkeypatch.chdir(here)
    meant = here.parent if name == ".." else here
    found = locks.hidden_file(Path(name), "made_of.json")
    assert found == meant.parent / f".{meant.name}.made_of.json"
