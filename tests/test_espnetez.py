"""espnetez trains a `blankskip_conformer`: the example, run as a user would."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from real_speech import digit_files

pytest.importorskip("espnetez", reason="ESPnet of 2026 has no espnetez")

ROOT = Path(__file__).resolve().parents[1]
SPOKEN = ["0_jackson_0", "1_jackson_0", "0_jackson_5", "1_jackson_5", "0_jackson_6"]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Output folder of one epoch on three digits, and the last line printed."""
    folder = tmp_path_factory.mktemp("espnetez")
    (folder / "digits").mkdir()
    for file in digit_files(*SPOKEN):
        shutil.copy(file, folder / "digits")
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "espnetez_train.py"]
        + [folder / "digits", folder / "model", "--max-epoch", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "model", done.stdout.splitlines()[-1]


def test_it_trains_the_encoder_and_model_of_the_registry(example):
    folder, _ = example
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["encoder"] == "blankskip_conformer"
    assert config["model"] == "blankskip"
    state = torch.load(folder / "checkpoint.pth", weights_only=False)
    trained = state["reporter"]["stats"][1]["train"]
    assert trained["kept_ratio"] == 1.0, "the warm-up of its configuration"
    assert {"loss_interctc_layer4", "loss_kd_blank"} <= set(trained)


def test_what_it_trained_recognizes_speech(example):
    _, said = example
    assert said.startswith("said: zero, heard: ")
