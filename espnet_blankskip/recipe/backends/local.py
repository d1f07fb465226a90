"""Jobs as child processes on this machine: what ``run.pl`` does in an ESPnet tree."""

import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence

from espnet_blankskip.children import ChildGroup, sensible_processes
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import JobArray, run_jobs

POLL_SECONDS = 0.2
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Local:
    """This machine.

    Args:
        at_once: Most jobs that run at the same time; None for all.
    """

    def __init__(self, at_once: Optional[int] = None):
        self.at_once = at_once

    def run(self, array: JobArray, watch: Callable[[], None]) -> None:
        """See `Backend.run`; an interrupt stops the jobs.

        Raises:
            StageError: A program cannot be started.
        """
        waiting = list(array.commands)
        running: Dict[subprocess.Popen, int] = {}
        at_once = self.at_once or len(waiting)
        with ChildGroup() as group:
            while waiting or running:
                while waiting and len(running) < at_once:
                    number = waiting.pop(0)
                    running[start(array, number, group)] = number
                time.sleep(POLL_SECONDS)
                watch()
                for process in [p for p in running if p.poll() is not None]:
                    array.write_status(running.pop(process), process.returncode)

    def sensible_jobs(self, asked: int, items: int) -> int:
        """See `Backend.sensible_jobs`; they share the cores of this machine."""
        return sensible_processes(asked, items)

    def stop_leftovers(self, log: Path) -> None:
        """See `Backend.stop_leftovers`; jobs on this machine end with their parent."""


def start(array: JobArray, number: int, group: ChildGroup) -> subprocess.Popen:
    """Begin one job."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if array.threads is not None:
        environment.update(dict.fromkeys(THREAD_VARIABLES, str(array.threads)))
    command = array.commands[number]
    with array.log_of(number).open("w", encoding="utf-8") as log:
        log.write(f"# {shlex.join(command)}\n# started {time.ctime()}\n")
        log.flush()
        try:
            # A driver that was killed must not leave a training behind, which would
            # go on writing into the folder that the next call resumes from.
            return group.start(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            raise StageError(f"--python {command[0]}: {error.strerror}") from None


def run_here(what: str, command: Sequence[str], log: Path) -> None:
    """Run one short command on this machine, whatever cmd.sh says.

    Raises:
        StageError: It failed.
    """
    run_jobs(JobArray(what, {1: command}, log), Local())
