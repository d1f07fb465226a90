"""All stages on ESPnet's own eight utterances, with ESPnet's commands as processes."""

import os
import signal
import subprocess
import time
import zipfile

import pytest
from real_speech import MINI_AN4
from recipe_folder import environment, make_recipe, run_sh

from espnet_blankskip.kaldi.lists import read_table

CONFIG = """\
batch_type: unsorted
batch_size: 2
max_epoch: 40
num_workers: 0
log_interval: 1
seed: 3
use_tensorboard: false
use_matplotlib: false
best_model_criterion: [[valid, loss, min]]
keep_nbest_models: 2
frontend_conf: {n_fft: 400, hop_length: 160, n_mels: 20}
encoder: blankskip_conformer
encoder_conf:
    output_size: 16
    attention_heads: 2
    linear_units: 32
    num_blocks: 3
    input_layer: conv2d
    macaron_style: true
    rel_pos_type: latest
    pos_enc_layer_type: rel_pos
    selfattention_layer_type: rel_selfattn
    cnn_module_kernel: 7
    interctc_layer_idx: [1]
    gate_layers: [1]
    train_skip: true
model: blankskip
model_conf: {ctc_weight: 1.0, interctc_weight: 0.3, factorized_ctc: true}
optim: adam
optim_conf: {lr: 0.002}
"""
DECODE = "conf/decode_asr_ctc_greedy"
RESULTS = "exp/asr_tiny_raw_bpe30"
PATIENCE_SECONDS = 240


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    if not MINI_AN4.exists():
        pytest.skip(f"no mini_an4 in {MINI_AN4}; set MINI_AN4 to ESPnet's archive")
    folder = make_recipe(tmp_path_factory.mktemp("recipe"))
    (folder / "conf" / "tiny.yaml").write_text(CONFIG)
    return folder


def options():
    return [
        *("--corpus", "mini_an4", "--asr_config", "conf/tiny.yaml", "--nj", "2"),
        *("--inference_config", f"{DECODE}_dense.yaml,{DECODE}.yaml"),
        *("--skip_packing", "false", "--inference_nj", "1", "--reuse", "true"),
    ]


@pytest.fixture(scope="module")
def killed(recipe):
    """Train until the first epoch is saved, then kill run.sh and nothing else."""
    environ = dict(environment(), MINI_AN4=str(MINI_AN4))
    with (recipe / "first.log").open("w") as output:
        process = subprocess.Popen(
            ["./run.sh", *options()],
            cwd=recipe,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        train_log = recipe / RESULTS / "train.log"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "2/40epoch started" not in text_of(train_log):
            assert process.poll() is None, text_of(recipe / "first.log")
            assert time.monotonic() < deadline, text_of(recipe / "first.log")
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return recipe


def text_of(path):
    return path.read_text(errors="replace") if path.is_file() else ""


@pytest.fixture(scope="module")
def finished(killed):
    os.environ["MINI_AN4"] = str(MINI_AN4)
    result = run_sh(killed, *options())
    assert result.returncode == 0, result.stdout + result.stderr
    return killed, result


def test_a_killed_run_leaves_no_training_behind_and_nothing_taken_for_done(killed):
    size = -1
    log = killed / RESULTS / "train.log"
    # The child ends with its parent: soon the log does not grow any more.
    for _ in range(50):
        if size == log.stat().st_size:
            break
        size = log.stat().st_size
        time.sleep(1)
    assert size == log.stat().st_size
    assert "40epoch results" not in log.read_text()
    assert not (killed / RESULTS / ".stage11.done").exists()
    assert (killed / RESULTS / "checkpoint.pth").exists()


def test_the_same_call_resumes_the_training_and_reuses_the_rest(finished):
    folder, result = finished
    for stage in (1, 3, 4, 5, 10):
        assert f"Stage {stage}: done already" in result.stdout
    assert "Stage 11: done already" not in result.stdout
    log = text_of(folder / RESULTS / "train.log")
    assert "The training was resumed using" in log
    assert " 1/40epoch started" not in log
    assert "40epoch results" in log
    assert "kept_ratio=" in log
    assert " 1/40epoch started" in text_of(folder / RESULTS / "train.1.log")


def test_hypotheses_scores_and_table_are_where_asr_sh_puts_them(finished):
    folder, result = finished
    keys = read_table(folder / "dump/raw/test/text").keys()
    for name in ("decode_asr_ctc_greedy", "decode_asr_ctc_greedy_dense"):
        results = folder / RESULTS / f"{name}_asr_model_valid.loss.ave" / "test"
        for file in ("text", "token", "token_int", "score", "depth"):
            assert read_table(results / file).keys() == keys
        assert "RTF: " in text_of(results / "logdir/calculate_rtf.log")
        for unit in ("wer", "cer"):
            assert (results / f"score_{unit}" / "result.txt").is_file()
    assert "Stage 13: " in result.stdout and "WER" in result.stdout
    table = text_of(folder / RESULTS / "RESULTS.md")
    for row in ("dense", "skipping", "intermediate"):
        assert row in table


def test_the_packed_model_holds_what_it_needs(finished):
    folder, _ = finished
    packed = folder / RESULTS / "asr_tiny_raw_bpe30_valid.loss.ave.zip"
    names = zipfile.ZipFile(packed).namelist()
    for ending in ("config.yaml", "best.pth", "feats_stats.npz", "bpe.model"):
        assert any(name.endswith(ending) for name in names), names


def test_a_second_call_reuses_everything_in_seconds(finished):
    folder, _ = finished
    begun = time.monotonic()
    result = run_sh(folder, *options())
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - begun < 30
    for stage in (1, 3, 4, 5, 10, 11, 12, 13, 14):
        assert f"Stage {stage}: done already" in result.stdout


def test_other_data_under_the_same_model_is_refused(finished):
    folder, _ = finished
    text = folder / "dump/raw/train_nodev/text"
    before = text.read_text()
    text.write_text(before.replace(" ", " X", 1))
    try:
        result = run_sh(folder, *options(), "--stage", "11", "--stop_stage", "11")
    finally:
        text.write_text(before)
    assert result.returncode == 1
    assert "was trained on other data" in result.stderr
    assert "--asr_tag" in result.stderr
