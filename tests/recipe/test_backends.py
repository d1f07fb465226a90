"""cmd.sh and conf/slurm.conf mean the same as to ESPnet's run.pl and slurm.pl."""

import subprocess
from pathlib import Path

import pytest
from recipe_folder import REPOSITORY

from espnet_blankskip.recipe.backends import choose_backend, choose_backends
from espnet_blankskip.recipe.backends.command_line import read_command_line
from espnet_blankskip.recipe.backends.local import Local
from espnet_blankskip.recipe.backends.slurm import Slurm
from espnet_blankskip.recipe.backends.slurm_conf import SlurmConf
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import JobArray, run_jobs
from espnet_blankskip.recipe.option_list import OptionError

CMD_SH = REPOSITORY / "egs2_recipe" / "asr1" / "cmd.sh"
CONF = REPOSITORY / "conf" / "slurm.conf"
SBATCH = """#!/usr/bin/env bash
printf '%s\\n' "$@" > arguments
echo "sbatch: error: no such partition" >&2
exit 1
"""


def source_cmd_sh(backend):
    names = 'echo "${train_cmd}/${cuda_cmd}/${decode_cmd}"'
    script = f"set -eu; cmd_backend={backend}; . {CMD_SH}; {names}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize(
    "backend, program",
    [
        ("local", "run.pl"),
        ("slurm", "slurm.pl"),
        ("sge", "queue.pl"),
        ("pbs", "pbs.pl"),
    ],
)
def test_cmd_sh_exports_espnets_three_commands(backend, program):
    assert source_cmd_sh(backend).stdout == f"{program}/{program}/{program}\n"


def test_cmd_sh_refuses_an_unknown_back_end():
    result = source_cmd_sh("cloud")
    assert result.returncode == 1
    assert "cmd_backend=cloud must be one of local, slurm" in result.stderr


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A folder with conf/slurm.conf and an sbatch that records and refuses."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text(SBATCH)
    (programs / "sbatch").chmod(0o755)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "slurm.conf").write_text(CONF.read_text())
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_cmd_sh_jobs_run_on_this_machine():
    chosen = choose_backends({})
    assert set(chosen) == {"train_cmd", "cuda_cmd", "decode_cmd"}
    assert all(isinstance(backend, Local) for backend in chosen.values())


def test_each_command_has_its_own_back_end(sbatch):
    commands = {"decode_cmd": "slurm.pl --mem 4G", "train_cmd": "run.pl --mem 4G"}
    chosen = choose_backends({**commands, "cuda_cmd": "run.pl --max-jobs-run 2"})
    assert isinstance(chosen["decode_cmd"], Slurm)
    assert chosen["train_cmd"].at_once is None
    assert chosen["cuda_cmd"].at_once == 2


@pytest.mark.parametrize(
    "value, message",
    [
        ("queue.pl", "without an ESPnet tree jobs run by run.pl or slurm.pl"),
        ("ssh.pl --mem 4G", "without an ESPnet tree"),
        ("slurm.pl --memory 4G", "--memory 4G is not described in conf/slurm.conf"),
        ("slurm.pl --mem", "--mem needs a value"),
        ("slurm.pl 4G", "'4G' is no option"),
        ("slurm.pl --max-jobs-run 0", "--max-jobs-run 0 must be at least 1"),
        ("run.pl --max-jobs-run x", "--max-jobs-run x must be at least 1"),
        ("slurm.pl --config no.conf", "no.conf: No such file"),
        ("slurm.pl '", "No closing quotation"),
    ],
)
def test_a_wrong_command_is_one_line_with_its_variable(value, message, sbatch):
    with pytest.raises(OptionError) as error:
        choose_backend("decode_cmd", value)
    assert str(error.value).startswith(f"decode_cmd='{value}' (cmd.sh): ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_machine_without_slurm_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OptionError, match="no sbatch on this machine"):
        choose_backend("decode_cmd", "slurm.pl")


@pytest.mark.parametrize(
    "options, arguments",
    [
        ({}, []),
        ({"mem": "4G"}, ["--mem-per-cpu", "4G"]),
        ({"mem": "0"}, []),
        ({"gpu": "0"}, []),
        ({"gpu": "2"}, ["--gres", "gpu:2", "--cpus-per-task", "2"]),
        ({"num_threads": "3"}, ["--cpus-per-task", "3"]),
        ({"time": "1:00:00", "max_jobs_run": "5"}, ["--time", "1:00:00"]),
    ],
    ids=str,
)
def test_options_of_the_recipes_slurm_conf(options, arguments):
    assert SlurmConf(CONF).arguments(options) == arguments


@pytest.mark.parametrize(
    "lines, message",
    [
        ("option mem=0\n", "has no line 'command sbatch ...'"),
        ("command sbatch\nmem=4G\n", ":2: 'mem=4G' must begin with command"),
        ("command sbatch\noption mem\n", ":2: 'option mem' must begin with"),
        ("command sbatch\ndefault gpu=\n", ":2: 'default gpu=' must begin with"),
    ],
)
def test_a_broken_slurm_conf_is_named(lines, message, tmp_path):
    path = tmp_path / "slurm.conf"
    path.write_text(lines)
    with pytest.raises(ValueError) as error:
        SlurmConf(path)
    assert str(error.value).startswith(str(path)) and message in str(error.value)


def test_sbatch_gets_all_options_and_its_refusal_is_one_line(sbatch):
    conf = sbatch / "conf" / "slurm.conf"
    conf.write_text(
        conf.read_text().replace("option gpu=0", "option gpu=0 -p cpu  # mine")
    )
    words = "slurm.pl --mem 4G -A project --max-jobs-run 2".split()
    backend = Slurm(read_command_line(words))
    folder = Path("exp 100%") / "logdir"
    jobs = JobArray("stage 12: x", {2: ["true"], 5: ["true"]}, folder / "x.JOB.log")
    with pytest.raises(StageError, match="^stage 12: x: sbatch: error: no such part"):
        run_jobs(jobs, backend)
    arguments = (sbatch / "arguments").read_text().splitlines()
    assert arguments == [
        *("--export=PATH", "-p", "cpu", "--mem-per-cpu", "4G", "-A", "project"),
        *("--parsable", "--array", "2,5%2"),
        *("--output", str(sbatch / "exp 100%%" / "logdir" / "x.%a.log")),
        str(sbatch / folder / "x.sh"),
    ]
