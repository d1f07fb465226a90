"""Jobs as one Slurm job array: what ``slurm.pl`` does in an ESPnet tree.

The batch script lies beside the logs, so that it can be read and submitted by hand.
Every task leaves its exit status in a file; a task that is in the queue no more and has
left none was killed or lost. So no accounting database is needed.
"""

import shlex
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, List, Optional, Set

from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.recipe.backends.command_line import CommandLine
from espnet_blankskip.recipe.backends.local import THREAD_VARIABLES
from espnet_blankskip.recipe.backends.slurm_conf import SlurmConf
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import JobArray
from espnet_blankskip.terminal import log as tell

POLL_SECONDS = 1.0
#: Between two looks into the queue, which costs the controller something.
QUEUE_SECONDS = 5.0
#: How long a cancelled job may take to leave the queue.
CANCEL_SECONDS = 120.0
DEFAULT_CONF = "conf/slurm.conf"

HEAD = """\
#!/usr/bin/env bash
# {what}. Made by run.sh, which submits it by:
# {submit}
cd {folder} || exit 1
if [ -f ./path.sh ]; then
    . ./path.sh
fi
export PYTHONUNBUFFERED=1{threads}

run() {{  # STATUS_FILE COMMAND...
    local status_file=$1 status
    shift
    echo "# $*"
    echo "# started $(date) on $(hostname), Slurm job ${{SLURM_JOB_ID}}"
    "$@"
    status=$?
    echo "${{status}}" > "${{status_file}}.partial"
    mv "${{status_file}}.partial" "${{status_file}}"
    exit "${{status}}"
}}

case "${{SLURM_ARRAY_TASK_ID}}" in
"""


class Slurm:
    """A Slurm cluster that shares this folder.

    Args:
        command: ``slurm.pl`` and its options.

    Raises:
        ValueError: There is no Slurm here, or conf/slurm.conf and the options do not
            fit together.
    """

    def __init__(self, command: CommandLine):
        if shutil.which("sbatch") is None:
            raise ValueError("no sbatch on this machine (Debian's slurm-client)")
        self._command = command
        self._conf = SlurmConf(Path(command.options.get("config", DEFAULT_CONF)))
        self._conf.arguments(command.options)

    def run(self, array: JobArray, watch: Callable[[], None]) -> None:
        """See `Backend.run`; an interrupt cancels the job array.

        Raises:
            StageError: sbatch refuses the jobs.
        """
        submit = self._submit_command(array)
        write_whole(script_of(array.log), batch_script(array, submit))
        job = self._submit(array, submit)
        waiting = set(array.commands)
        tell(f"{array.what}: Slurm job {job}, array tasks: {len(waiting)}")
        with ExitStack() as at_end:
            at_end.callback(lambda: waiting and _call("scancel", job))
            gone: Set[int] = set()
            next_look = time.monotonic() + QUEUE_SECONDS
            while waiting:
                time.sleep(POLL_SECONDS)
                watch()
                waiting -= {n for n in waiting if array.exit_status(n) is not None}
                if waiting and time.monotonic() >= next_look:
                    queued = queued_tasks(job)
                    if queued is not None:
                        # Given up at the second look only: on a shared disk the file
                        # of a task that has just ended may show late.
                        waiting -= gone - queued
                        gone = waiting - queued
                    next_look = time.monotonic() + QUEUE_SECONDS

    def sensible_jobs(self, asked: int, items: int) -> int:
        """See `Backend.sensible_jobs`; Slurm knows what its machines have."""
        return min(asked, items)

    def stop_leftovers(self, log: Path) -> None:
        """See `Backend.stop_leftovers`.

        Raises:
            StageError: The jobs do not end.
        """
        script = script_of(log)
        jobs = jobs_of(script)
        for job in jobs:
            tell(f"Cancelling Slurm job {job}, which an earlier call has left behind")
            _call("scancel", job)
        deadline = time.monotonic() + CANCEL_SECONDS
        while jobs and jobs_of(script):
            if time.monotonic() > deadline:
                raise StageError(f"Slurm job {' '.join(jobs)} of {script} does not end")
            time.sleep(POLL_SECONDS)

    def _submit_command(self, array: JobArray) -> List[str]:
        """The call of sbatch."""
        options = dict(self._command.options)
        if array.gpus:
            options["gpu"] = str(array.gpus)
        tasks = ",".join(map(str, array.commands))
        if self._command.max_jobs_run is not None:
            tasks += f"%{self._command.max_jobs_run}"
        # The log is Slurm's own output file, so that what Slurm has to say about a
        # task (cancelled, time limit, out of memory) is in it. %% is a percent sign.
        log_pattern = str(array.log.absolute()).replace("%", "%%")
        try:
            arguments = self._conf.arguments(options)
        except ValueError as error:
            raise StageError(f"{array.what}: {error}") from None
        return [
            *(*self._conf.command, *arguments, *self._command.passed_on),
            *("--parsable", "--array", tasks),
            *("--output", log_pattern.replace("JOB", "%a")),
            str(script_of(array.log)),
        ]

    def _submit(self, array: JobArray, submit: List[str]) -> str:
        """Submit the jobs; return the id of the array."""
        try:
            result = subprocess.run(submit, capture_output=True, text=True)
        except OSError as error:
            raise StageError(
                f"{self._conf.path}: {submit[0]}: {error.strerror}"
            ) from None
        if result.returncode != 0:
            reason = (result.stderr.strip() or "no reason given").splitlines()[-1]
            raise StageError(f"{array.what}: {reason}; it was: {shlex.join(submit)}")
        return result.stdout.strip().partition(";")[0]


def script_of(log: Path) -> Path:
    """The batch script of the jobs that write ``NAME.JOB.log``: ``NAME.sh`` beside."""
    return log.with_name(log.stem.replace(".JOB", "") + ".sh").absolute()


def batch_script(array: JobArray, submit: List[str]) -> str:
    """The script that every task of the array runs."""
    threads = ""
    if array.threads is not None:
        threads = "".join(f" {name}={array.threads}" for name in THREAD_VARIABLES)
    head = HEAD.format(
        what=array.what,
        submit=shlex.join(submit),
        folder=shlex.quote(str(Path.cwd())),
        threads=threads,
    )
    cases = "".join(
        f"{number}) run {shlex.quote(str(array.status_of(number)))} "
        f"{shlex.join(command)} ;;\n"
        for number, command in array.commands.items()
    )
    return f"{head}{cases}esac\n"


def queued_tasks(job: str) -> Optional[Set[int]]:
    """Numbers of an array's tasks that wait or run; None without an answer."""
    result = _call("squeue", "--me", "--noheader", "--array", "--format=%F %K")
    if result.returncode != 0:
        return None  # a busy controller; the next look may get an answer
    rows = [line.split() for line in result.stdout.splitlines()]
    return {int(number) for array, number in rows if array == job}


def jobs_of(script: Path) -> List[str]:
    """Ids of the user's job arrays in the queue that run a script.

    Raises:
        StageError: The controller does not answer.
    """
    result = _call("squeue", "--me", "--noheader", "--format=%F %o")
    if result.returncode != 0:
        raise StageError(f"squeue: {result.stderr.strip()}")
    rows = [line.strip().split(maxsplit=1) for line in result.stdout.splitlines()]
    return sorted({row[0] for row in rows if row[1:] == [str(script)]})


def _call(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True)
