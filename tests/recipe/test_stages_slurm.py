"""Jobs on a real Slurm of one node: this machine, started for these tests."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from recipe_folder import RATE, environment, make_recipe, run_sh, tone

from espnet_blankskip.kaldi.lists import read_rows, read_table, write_rows
from espnet_blankskip.recipe.backends import choose_backend, slurm
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import JobArray, run_jobs

SCRIPT = Path(__file__).with_name("one_node_slurm.sh")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
PACKAGES = "slurmctld slurmd slurm-client munge"
PATH = f"{os.environ['PATH']}:/usr/sbin"
JOBS, UTTERANCES = 3, 7
PATIENCE_SECONDS = 120
RESULTS = "exp/tiny/decode_asr_ctc_greedy_asr_model_model/test"

missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
pytestmark = pytest.mark.skipif(
    bool(missing),
    reason=f"no {', '.join(missing)}: apt-get install {PACKAGES}",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder, str(JOBS + 1)], check=True, timeout=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield folder
        subprocess.run(["scancel", "--me"], check=True)
        subprocess.run([SCRIPT, "stop", folder], check=True)


@pytest.fixture
def backend(cluster, tmp_path, monkeypatch):
    make_recipe(tmp_path)
    monkeypatch.chdir(tmp_path / "asr1")
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(slurm, "QUEUE_SECONDS", 1.0)
    return choose_backend("decode_cmd", "slurm.pl --mem 10M --time 5")


def array(*programs, **options):
    commands = {n: ["bash", "-c", program] for n, program in programs}
    return JobArray("stage 99: work", commands, Path("exp/part.JOB.log"), **options)


def queue():
    command = ["squeue", "--me", "--noheader", "--array", "--format=%F_%K"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.split()


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def test_tasks_run_in_this_folder_with_their_own_command_log_and_status(backend):
    show = "echo \"it is '$0' in ${PWD}, ${OMP_NUM_THREADS} threads\"; exit "
    jobs = array((1, show + "0"), (3, show + "5"), threads=2)
    jobs.write_status(3, 0)  # of an earlier run
    with pytest.raises(StageError, match=r"job 3 ended with exit code 5 \(1 of 2 jobs"):
        run_jobs(jobs, backend)
    assert (jobs.exit_status(1), jobs.exit_status(3)) == (0, 5)
    for number in (1, 3):
        expected = f"it is 'bash' in {Path.cwd()}, 2 threads\n"
        assert expected in jobs.log_of(number).read_text()


def test_a_task_that_vanishes_is_told_from_one_that_fails(backend):
    vanish = "scancel ${SLURM_ARRAY_JOB_ID}_2; sleep 60"
    jobs = array((1, "kill -9 $$"), (2, vanish), (3, "echo fine"))
    with pytest.raises(StageError, match="job 1 ended by signal 9 .2 of 3 jobs"):
        run_jobs(jobs, backend)
    assert jobs.exit_status(2) is None and jobs.exit_status(3) == 0
    # What Slurm says of a task is in the log that the error shows.
    assert "CANCELLED" in jobs.log_of(2).read_text()


def test_an_interrupt_cancels_the_array(backend):
    jobs = array((1, "sleep 300"), (2, "sleep 300"))

    def watch():
        if jobs.log_of(1).is_file():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, backend, watch)
    wait_for(lambda: not queue())


def test_what_a_killed_driver_left_running_is_cancelled_and_nothing_else(backend):
    script = slurm.script_of(Path("exp/part.JOB.log"))
    other = slurm.script_of(Path("exp/other.JOB.log"))
    script.parent.mkdir()
    jobs = {}
    for path in (script, other):
        path.write_text("#!/bin/sh\nsleep 300\n")
        command = ["sbatch", "--parsable", "--array=1-2", "--output=/dev/null", path]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        jobs[path] = result.stdout.strip()
    backend.stop_leftovers(Path("exp/part.JOB.log"))
    assert queue() and {task.split("_")[0] for task in queue()} == {jobs[other]}
    subprocess.run(["scancel", jobs[other]], check=True)


def make_experiment(folder):
    """A tiny model, and a formatted test set of tones."""
    from tiny_experiment import write_experiment

    write_experiment(folder / "exp" / "tiny")
    data = folder / "dump" / "raw" / "test"
    data.mkdir(parents=True)
    names = [f"utt{number}" for number in range(UTTERANCES)]
    for number, name in enumerate(names):
        soundfile.write(data / f"{name}.wav", tone(0.5 + 0.1 * number), RATE)
    write_rows(data / "wav.scp", [(name, str(data / f"{name}.wav")) for name in names])
    write_rows(data / "text", [(name, "one two") for name in names])


@pytest.mark.slow
def test_decoding_takes_up_what_a_killed_task_has_left(cluster, tmp_path, monkeypatch):
    folder = make_recipe(tmp_path)
    make_experiment(folder)
    options = [
        *("--stage", "12", "--stop_stage", "12", "--inference_nj", str(JOBS)),
        *("--asr_exp", "exp/tiny", "--inference_asr_model", "model.pth"),
        *("--inference_config", "conf/decode_asr_ctc_greedy.yaml"),
        *("--python", f"{sys.executable} -m espnet_blankskip"),
    ]
    monkeypatch.setenv("cmd_backend", "slurm")
    logdir = folder / RESULTS / "logdir"
    first = subprocess.Popen(
        ["./run.sh", *options],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for((logdir / "asr_inference.2.log").is_file)
    (task,) = [task for task in queue() if task.endswith("_2")]
    subprocess.run(["scancel", task], check=True)
    output, _ = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 1
    assert "job 2 was killed or lost with its machine (1 of 3 jobs" in output
    assert output.rstrip().endswith("test/logdir/asr_inference.2.log")
    assert not (folder / RESULTS / "text").exists()
    before = {n: (logdir / f"output.{n}").stat().st_mtime_ns for n in (1, 3)}

    second = run_sh(folder, *options)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "2 of 3 parts are there; to do: 2" in second.stdout
    after = {n: (logdir / f"output.{n}").stat().st_mtime_ns for n in (1, 3)}
    assert after == before, "finished parts are left alone"
    utterances = sorted(read_table(folder / "dump/raw/test/wav.scp"))
    for name in ("text", "token", "score", "depth"):
        listed = [utt_id for utt_id, _ in read_rows(folder / RESULTS / name)]
        assert listed == utterances, "no utterance is lost or doubled"
    assert "RTF: " in (logdir / "calculate_rtf.log").read_text()

    monkeypatch.setenv("cmd_backend", "local")
    decoded = (folder / RESULTS / "text").read_text()
    third = run_sh(folder, *options)
    assert third.returncode == 0, third.stdout + third.stderr
    assert (folder / RESULTS / "text").read_text() == decoded
