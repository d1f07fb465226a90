"""Commands with a log file each, the waiting for them, and what their failure says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Protocol, Sequence

from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.recipe.failed_stage import StageError

TAIL_LINES = 15
#: A shell tells of a signal by 128 and its number.
SHELL_SIGNAL = 128


@dataclass(frozen=True)
class JobArray:
    """Commands that run side by side and differ in their part of the work.

    Args:
        what: Name of the work for error messages.
        commands: Program and arguments by job number, from 1.
        log: File for everything a job prints. ``JOB`` in its name stands for the
            job's number, as in ESPnet's scripts.
        threads: Threads of each job's numeric libraries; None leaves it open.
        gpus: GPUs of each job.
    """

    what: str
    commands: Dict[int, Sequence[str]]
    log: Path
    threads: Optional[int] = None
    gpus: int = 0

    def log_of(self, number: int) -> Path:
        """Log of one job."""
        return self.log.with_name(self.log.name.replace("JOB", str(number)))

    def status_of(self, number: int) -> Path:
        """File that appears when a job ends by itself, with its exit status."""
        return self.log_of(number).with_suffix(".status")

    def exit_status(self, number: int) -> Optional[int]:
        """Exit status of a job, negative for a signal; None if it left none."""
        try:
            return int(self.status_of(number).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write_status(self, number: int, status: int) -> None:
        """Record how a job ended."""
        write_whole(self.status_of(number), f"{status}\n")

    def forget(self, number: int) -> None:
        """Remove what an earlier run of a job has left."""
        self.log_of(number).unlink(missing_ok=True)
        self.status_of(number).unlink(missing_ok=True)


class Backend(Protocol):
    """Where jobs run."""

    def run(self, array: JobArray, watch: Callable[[], None]) -> None:
        """Run all jobs of an array to their end, whatever becomes of the others.

        Each leaves its log and, unless it was lost, its exit status.

        Args:
            array: The jobs; `JobArray.forget` has been called for each.
            watch: Called every moment, to move a progress bar.
        """

    def sensible_jobs(self, asked: int, items: int) -> int:
        """How many jobs to divide a work into.

        Args:
            asked: What the user asks for.
            items: Pieces of work.
        """

    def stop_leftovers(self, log: Path) -> None:
        """Stop jobs that an earlier, killed call has left behind.

        Args:
            log: `JobArray.log` of those jobs.
        """


def run_jobs(
    array: JobArray,
    backend: Backend,
    watch: Callable[[], None] = lambda: None,
    complete: Optional[Callable[[int], bool]] = None,
) -> None:
    """Run jobs and check that all have done their work.

    Args:
        array: The jobs.
        backend: Where they run.
        watch: Called every moment, to move a progress bar.
        complete: Whether a job's result is there and whole; by default an exit status
            of 0 is enough.

    Raises:
        StageError: A job failed. The message has its log, the details the log's end.
    """
    array.log.parent.mkdir(parents=True, exist_ok=True)
    for number in array.commands:
        array.forget(number)
    backend.run(array, watch)
    if complete is None:
        failed = [n for n in array.commands if array.exit_status(n) != 0]
    else:
        failed = [n for n in array.commands if not complete(n)]
    if failed:
        raise failure(array, failed)


def failure(array: JobArray, failed: Sequence[int]) -> StageError:
    """The error for failed jobs: the first of them, with the end of its log."""
    log = array.log_of(failed[0])
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    tail = "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])
    job, others = "", ""
    if "JOB" in array.log.name:
        job = f" job {failed[0]}"
        others = f" ({len(failed)} of {len(array.commands)} jobs failed)"
    how = ending(array.exit_status(failed[0]))
    return StageError(f"{array.what}{job} {how}{others}; its log: {log}", tail)


def ending(status: Optional[int]) -> str:
    """How a job that failed came to its end, in words."""
    if status is None:
        return "was killed or lost with its machine"
    if status == 0:
        return "ended without its whole result"
    if status > SHELL_SIGNAL:
        status = SHELL_SIGNAL - status
    return (
        f"ended by signal {-status}" if status < 0 else f"ended with exit code {status}"
    )


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
