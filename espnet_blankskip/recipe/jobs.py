"""Child processes with a log file each."""

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from espnet_blankskip.recipe.terminal import StageError

POLL_SECONDS = 0.2
TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Job:
    """One command.

    Args:
        command: Program and arguments.
        log: File for everything it prints.
    """

    command: Sequence[str]
    log: Path


def run_jobs(
    what: str,
    jobs: Sequence[Job],
    at_once: int,
    threads: Optional[int] = None,
    watch: Optional[Callable[[], None]] = None,
) -> None:
    """Run commands, ``at_once`` at a time, and wait for all of them.

    Args:
        what: Name of the work for the error message.
        jobs: The commands.
        at_once: Most that run at the same time.
        threads: Threads of each command's numeric libraries; None leaves it open.
        watch: Called every moment, to move a progress bar.

    Raises:
        StageError: One of them failed; the others have been stopped. The message
            holds the end of its log and the log's path.
    """
    waiting = list(jobs)
    running: Dict[subprocess.Popen, Job] = {}
    with ExitStack() as at_end:
        at_end.callback(stop, running)
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[start(job, threads)] = job
            time.sleep(POLL_SECONDS)
            if watch is not None:
                watch()
            for process in [p for p in running if p.poll() is not None]:
                job = running.pop(process)
                if process.returncode != 0:
                    raise failure(what, process.returncode, job.log)


def start(job: Job, threads: Optional[int]) -> subprocess.Popen:
    """Begin one job."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(threads)
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("w", encoding="utf-8") as log:
        log.write(f"# {shlex.join(job.command)}\n# started {time.ctime()}\n")
        log.flush()
        try:
            return subprocess.Popen(
                list(job.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            raise StageError(f"--python {job.command[0]}: {error.strerror}") from None


def _end_with_parent() -> None:
    # A driver that was killed must not leave a training behind, which would go on
    # writing into the folder that the next call resumes from.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(running: Dict[subprocess.Popen, Job]) -> None:
    """Stop what still runs, after a failure or an interrupt."""
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def failure(what: str, code: int, log: Path) -> StageError:
    """The error for a failed command, with the end of its log."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    tail = "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return StageError(f"{what} ended {how}; its log: {log}", tail)


class Followed:
    """New lines of a growing log file.

    Args:
        path: The log; it need not be there yet.
    """

    def __init__(self, path: Path):
        self.path = path
        self._offset = 0

    def new_lines(self) -> List[str]:
        """Complete lines written since the last call."""
        if not self.path.is_file():
            return []
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            block = stream.read()
        end = block.rfind(b"\n") + 1
        self._offset += end
        return block[:end].decode("utf-8", errors="replace").splitlines()
