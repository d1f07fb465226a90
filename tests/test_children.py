"""Nothing that we have started outlives us, however we end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espnet_blankskip.children import ChildGroup, run_program

# A script whose program would go on alone, and a parent of the script.
SCRIPT = 'bash -c "echo \\$\\$ > grandchild; exec sleep 60" & wait'
PARENT = """
import sys
from espnet_blankskip.children import run_program
run_program(["bash", "-c", sys.argv[1]])
"""
WORKER = """
import multiprocessing, os, time
from espnet_blankskip.children import end_with_parent

def work():
    end_with_parent()
    open("grandchild", "w").write(f"{os.getpid()}\\n")
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=work).start()
    time.sleep(60)
"""


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def has_ended(process):
    """Whether a process is gone, or a zombie that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_a_program_of_a_script_ends_with_the_scripts_parent(how, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, SCRIPT], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    mark = tmp_path / "grandchild"
    assert wait_for(lambda: mark.is_file() and mark.read_text())
    grandchild = int(mark.read_text())
    parent.send_signal(getattr(signal, how))
    parent.wait()
    assert wait_for(lambda: has_ended(grandchild), 10)


def test_a_worker_ends_with_its_killed_parent(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(WORKER)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    parent = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, env=environment
    )
    mark = tmp_path / "grandchild"
    assert wait_for(lambda: mark.is_file() and mark.read_text())
    parent.kill()
    parent.wait()
    assert wait_for(lambda: has_ended(int(mark.read_text())), 10)


def test_who_does_not_end_when_asked_is_made_to(tmp_path, monkeypatch):
    monkeypatch.setattr("espnet_blankskip.children.GRACE_SECONDS", 0.3)
    with ChildGroup() as group:
        polite = group.start(["sleep", "60"])
        deaf = group.start(["bash", "-c", f"trap '' TERM; > {tmp_path}/deaf; sleep 60"])
        assert wait_for((tmp_path / "deaf").exists)
    assert polite.returncode == -signal.SIGTERM
    assert deaf.returncode == -signal.SIGKILL


def test_a_program_is_run_as_by_subprocess():
    script = "echo out; echo err >&2; cat; exit 3"
    done = run_program(
        ["bash", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    with pytest.raises(FileNotFoundError):
        run_program(["no such program"])
