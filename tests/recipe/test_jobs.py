"""Jobs on this machine: each to its own end, and what is said when one fails."""

import os
import sys
import time

import pytest

from espnet_blankskip.recipe.backends.local import Local, run_here
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import JobArray, run_jobs

OK = "print('fine')"
SLOW = "import time; time.sleep(1.0); print('fine')"
EXIT_9 = "print('the reason'); raise SystemExit(9)"
KILLED = "import os; print('so far', flush=True); os.kill(os.getpid(), 9)"


def array(folder, *programs, log="part.JOB.log", **options):
    commands = {n: [sys.executable, "-c", p] for n, p in enumerate(programs, 1)}
    return JobArray("stage 99: work", commands, folder / "logs" / log, **options)


@pytest.mark.parametrize(
    "program, message, tail",
    [
        (EXIT_9, "job 2 ended with exit code 9", "the reason"),
        (KILLED, "job 2 ended by signal 9", "so far"),
    ],
    ids=["exit code", "signal"],
)
def test_a_failed_job_is_named_and_the_others_go_on(program, message, tail, tmp_path):
    jobs = array(tmp_path, SLOW, program, OK)
    with pytest.raises(StageError) as error:
        run_jobs(jobs, Local())
    where = tmp_path / "logs" / "part.2.log"
    what = f"stage 99: work {message} (1 of 3 jobs failed); its log: {where}"
    assert str(error.value) == what
    assert f"  | {tail}" in error.value.details
    assert [jobs.exit_status(n) == 0 for n in (1, 2, 3)] == [True, False, True]
    assert "fine" in jobs.log_of(1).read_text()


def test_a_result_that_is_not_whole_is_a_failure(tmp_path):
    with pytest.raises(StageError, match="job 1 ended without its whole result"):
        run_jobs(array(tmp_path, OK), Local(), complete=lambda number: False)


class LosesJobs(Local):
    def run(self, array, watch):
        """As a cluster whose machine has gone."""


def test_a_status_of_an_earlier_run_is_not_taken_for_this_one(tmp_path):
    run_jobs(array(tmp_path, OK), Local())
    with pytest.raises(StageError, match="job 1 was killed or lost with its machine"):
        run_jobs(array(tmp_path, OK), LosesJobs())


def test_a_single_job_has_no_number(tmp_path):
    command = [sys.executable, "-c", EXIT_9]
    with pytest.raises(StageError, match="^stage 5: work ended with exit code 9; its"):
        run_here("stage 5: work", command, tmp_path / "work.log")


def test_no_more_jobs_than_allowed_run_at_once(tmp_path):
    program = (
        "import pathlib, time\n"
        f"mark = pathlib.Path({str(tmp_path)!r}) / 'running'\n"
        "mark.mkdir()\n"  # fails where another job is running
        "time.sleep(0.1)\n"
        "mark.rmdir()\n"
    )
    run_jobs(array(tmp_path, *[program] * 3), Local(at_once=1))
    with pytest.raises(StageError, match="exit code 1"):
        run_jobs(array(tmp_path, *[program.replace("0.1", "1.0")] * 3), Local())


def test_an_interrupt_stops_the_jobs(tmp_path):
    mark = tmp_path / "pid"
    program = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid()) + '.')\n"
        "time.sleep(60)\n"
    )

    def watch():
        if mark.is_file() and mark.read_text().endswith("."):
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_jobs(array(tmp_path, program), Local(), watch)
    assert time.monotonic() - begun < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()[:-1]), 0)


def test_threads_are_set_where_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    show = "import os; print('threads', os.environ['OMP_NUM_THREADS'])"
    for threads, shown in ((3, "threads 3"), (None, "threads 7")):
        jobs = array(tmp_path, show, threads=threads)
        run_jobs(jobs, Local())
        assert shown in jobs.log_of(1).read_text()
