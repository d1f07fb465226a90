"""ESPnet's own commands and its own tests, with our encoder and model in place."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import soundfile
from real_speech import MINI_AN4
from tiny_experiment import write_experiment

from espnet_blankskip.model import BlankSkipASRModel

UPSTREAM_TEST = "test/espnet2/asr/encoder/test_conformer_encoder.py"


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    """A `wav.scp` with two of the AN4 utterances that ESPnet itself tests with."""
    archive = MINI_AN4 / "downloads.tar.gz"
    if not archive.exists():
        pytest.skip(f"no {archive}; set MINI_AN4 to the folder of downloads.tar.gz")
    folder = tmp_path_factory.mktemp("an4")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    speech = sorted(folder.rglob("*.sph")) or sorted(folder.rglob("*.wav"))
    scp = folder / "wav.scp"
    scp.write_text("".join(f"{p.stem} {p}\n" for p in speech[:2]))
    return scp


DECODE_CONF = "ctc_weight: 1.0\nbeam_size: 1\n"


def wrapped(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "espnet_blankskip", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_stock_inference_decodes_a_blankskip_model(utterances, tmp_path):
    config, model = write_experiment(tmp_path / "exp", factorized=True)
    (tmp_path / "decode.yaml").write_text(DECODE_CONF)
    done = wrapped(
        *("-m", "espnet2.bin.asr_inference"),
        *("--config", tmp_path / "decode.yaml"),
        *("--asr_train_config", config),
        *("--asr_model_file", model),
        *("--data_path_and_name_and_type", f"{utterances},speech,sound"),
        *("--output_dir", tmp_path / "out"),
        *("--log_level", "INFO"),
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "1best_recog" / "text").read_text().splitlines()
    names = [line.split()[0] for line in utterances.read_text().splitlines()]
    assert [line.split()[0] for line in text] == names
    assert len(re.findall("best hypo", done.stderr)) == len(names)


def test_stock_speech2text_loads_a_blankskip_model_and_skips(utterances, tmp_path):
    config, model = write_experiment(tmp_path / "exp")
    from espnet2.bin.asr_inference import Speech2Text

    recognizer = Speech2Text(config, model, ctc_weight=1.0, beam_size=1)
    assert isinstance(recognizer.asr_model, BlankSkipASRModel)
    samples, _ = soundfile.read(utterances.read_text().split()[1])
    results = recognizer(samples)
    assert results
    kept = recognizer.asr_model.encoder.last_kept
    assert 0 < int(kept.sum()) < kept.numel()


# Puts our class in the place of ESPnet's before its test module is collected.
SUBSTITUTE = """
import espnet2.asr.encoder.conformer_encoder as upstream
from espnet_blankskip.encoders import BlankSkipConformerEncoder

upstream.ConformerEncoder = BlankSkipConformerEncoder
"""


def test_espnets_own_conformer_tests_pass_with_our_encoder(tmp_path):
    """ESPnet's test suite for the class that ours is a drop-in for, skipping off."""
    if "ESPNET_ROOT" not in os.environ:
        pytest.skip("ESPNET_ROOT does not name an ESPnet tree to take the tests from")
    source = Path(os.environ["ESPNET_ROOT"]) / UPSTREAM_TEST
    if not source.exists():
        pytest.skip(f"no {source}")
    (tmp_path / "conftest.py").write_text(SUBSTITUTE)
    (tmp_path / "test_conformer_encoder.py").write_text(source.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = int(re.search(r"(\d+) passed", done.stdout).group(1))
    assert passed > 500 and "failed" not in done.stdout
