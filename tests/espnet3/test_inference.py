"""ESPnet3's stage `infer` with our recognizer: in its own runner, parallel, by mode."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tiny_experiment import write_experiment
from tiny_recipe import ENVIRONMENT, make_recipe, needs_espnet3, run, write_training

from espnet_blankskip.inference import BlankSkipSpeech2Text

pytestmark = needs_espnet3

OPTIONS = dict(mode="skipping", blank_threshold=0.8, spike_extension=1)
SLURM = Path(__file__).parents[1] / "recipe" / "one_node_slurm.sh"
# ESPnet3's own script: it knows nothing of the plugin
PLAIN_RUN = """
from espnet3.systems.esp2_asr.system import ASRSystem
from espnet3.systems.launch import launch
if __name__ == "__main__":
    launch(ASRSystem, conf_package="egs3.TEMPLATE.esp2_asr")
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe with ESPnet3's own run.py, and a model whose gate lets frames go."""
    folder = make_recipe(tmp_path_factory.mktemp("inference") / "recipe")
    (folder / "run.py").write_text(PLAIN_RUN)
    write_experiment(folder / "exp" / "tiny", factorized=True)
    return folder


@pytest.fixture(scope="module")
def alone(recipe):
    """What the recognizer hears on its own, by utterance."""
    exp = recipe / "exp" / "tiny"
    speech2text = BlankSkipSpeech2Text(
        exp / "config.yaml", exp / "model.pth", **OPTIONS
    )
    found = {
        f"utt{n}": speech2text(recipe / f"data/digits/{n}.wav") for n in range(1, 5)
    }
    assert any(one.text for one in found.values())
    assert any(0 < one.kept_ratio < 1 for one in found.values())
    return found


def write_inference(recipe, name, **changes):
    """Write conf/NAME.yaml, which changes nothing but the model of ESPnet3's own."""
    config = {
        "exp_tag": "tiny",
        "dataset": {
            "test": [
                {
                    "name": "digits",
                    "data_src_args": {"folder": "data/digits", "inference": True},
                }
            ]
        },
        "model": {
            "_target_": "espnet_blankskip.inference.BlankSkipSpeech2Text",
            "asr_train_config": "${exp_dir}/config.yaml",
            "asr_model_file": "${exp_dir}/model.pth",
            "batch_size": 2,
            **OPTIONS,
        },
        "batch_size": 2,
        "contract": {"inputs": {"speech": {"sample_rate": 8000}}},
        **changes,
    }
    (recipe / "conf" / f"{name}.yaml").write_text(yaml.safe_dump(config))


def infer(recipe, name):
    """Run the stage; texts by utterance."""
    run(
        recipe, "run.py", "--stages", "infer", "--inference_config", f"conf/{name}.yaml"
    )
    lines = (
        (recipe / "exp/tiny" / name / "digits" / "text.scp").read_text().splitlines()
    )
    return dict((line.split(" ", 1) + [""])[:2] for line in lines)


def test_own_runner_in_two_dask_workers_gives_the_texts_of_one_process(recipe, alone):
    write_inference(recipe, "local", parallel={"env": "local", "n_workers": 2})
    assert infer(recipe, "local") == {utt: one.text for utt, one in alone.items()}
    shards = list((recipe / "exp/tiny/local/digits").glob("split.*/done"))
    assert len(shards) == 2


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm cluster of one node, this machine."""
    for program in ("slurmctld", "slurmd", "munged", "sbatch"):
        if not shutil.which(program, path=f"{ENVIRONMENT['PATH']}:/usr/sbin:/sbin"):
            pytest.skip(f"no {program}: apt-get install slurmctld slurmd munge")
    started = subprocess.run(
        ["bash", SLURM, "start", tmp_path], capture_output=True, text=True
    )
    if started.returncode:
        pytest.skip(started.stderr.strip())
    monkeypatch.setitem(ENVIRONMENT, "SLURM_CONF", str(tmp_path / "slurm.conf"))
    yield
    subprocess.run(["bash", SLURM, "stop", tmp_path], check=False)


@pytest.fixture
def on_slurm(slurm):
    """`parallel:` of two workers, each a job of its own."""
    options = {
        "cores": 1,
        "memory": "4GB",
        "walltime": "00:10:00",
        "job_directives_skip": ["--mem"],  # the node of the test claims less
        "log_directory": "exp/slurm",
    }
    return {"env": "slurm", "n_workers": 2, "options": options}


@pytest.mark.slow
def test_workers_on_slurm_give_the_texts_of_one_process(recipe, alone, on_slurm):
    write_inference(recipe, "cluster", parallel=on_slurm)
    assert infer(recipe, "cluster") == {utt: one.text for utt, one in alone.items()}
    assert len(list((recipe / "exp" / "slurm").glob("*.err"))) == 2


@pytest.mark.slow
def test_workers_on_slurm_know_the_model_by_the_tasks_path(recipe, on_slurm):
    # the workers' statistics are taken by the model that the config names
    config = write_training(recipe, "stats", parallel=on_slurm)
    run(recipe, "run.py", "--stages", "collect_stats", "--training_config", str(config))
    shapes = (recipe / "exp" / "stats" / "train" / "feats_shape").read_text()
    assert len(shapes.splitlines()) == 4
