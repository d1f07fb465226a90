"""Stages that run programs: what they need, and what a failure looks like."""

import importlib.util
import shlex
import sys
import zipfile
from pathlib import Path

import pytest
from recipe_folder import SETS, make_data

from espnet_blankskip import commands
from espnet_blankskip.evaluation.real_time_factor import write_real_time_factor
from espnet_blankskip.kaldi.lists import read_rows
from espnet_blankskip.recipe import training_options
from espnet_blankskip.recipe.__main__ import main
from espnet_blankskip.recipe.backends.local import Local
from espnet_blankskip.recipe.decoder_choice import OWN_DECODER, decoder_module
from espnet_blankskip.recipe.option_parsing import parse_options
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.stages import training
from espnet_blankskip.recipe.training_log import TrainingProgress

OPTIONS = ["--train_set", SETS[0], "--valid_set", SETS[1], "--test_sets", SETS[2]]
OPTIONS += ["--fs", "8k", "--nj", "2", "--token_type", "char"]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_data(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "stage, message",
    [
        (4, f"stage 4 needs dump/raw/org/{SETS[0]}/wav.scp: run stages 1-3 first"),
        (5, f"stage 5 needs dump/raw/{SETS[0]}/text: run stages 1-4 first"),
        (10, f"stage 10 needs dump/raw/{SETS[0]}/wav.scp: run stages 1-4 first"),
        (11, f"stage 11 needs dump/raw/{SETS[0]}/wav.scp: run stages 1-4 first"),
        (12, f"stage 12 needs dump/raw/{SETS[2]}/wav.scp: run stages 1-4 first"),
        (13, f"stage 13 needs dump/raw/{SETS[2]}/wav.scp: run stages 1-4 first"),
        (14, "stage 14 needs exp/asr_train_raw_char/config.yaml: run stages 1-11"),
    ],
)
def test_no_stage_begins_without_its_input(stage, message, recipe, capsys):
    number = str(stage)
    assert main([*OPTIONS, "--stage", number, "--stop_stage", number]) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert message in error[0]


@pytest.mark.parametrize(
    "package, options, stage",
    [
        ("jiwer", [], 13),
        ("matplotlib", ["--stage", "12", "--stop_stage", "13"], 13),
        ("tensorboard", [], 11),
        ("tensorboard", ["--asr_args", "--use_tensorboard true"], 11),
    ],
)
def test_a_missing_package_is_told_before_the_first_stage(
    package, options, stage, recipe, capsys, monkeypatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == package else find(n)
    )
    assert main([*OPTIONS, *options]) == 1
    captured = capsys.readouterr()
    assert f"error: stage {stage} needs the Python package {package}: " in captured.err
    assert "pip install 'espnet_blankskip[recipe]'" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "package, options",
    [
        ("jiwer", ["--skip_eval", "true"]),
        ("jiwer", ["--stop_stage", "12"]),
        ("tensorboard", ["--asr_args", "--use_tensorboard false"]),
    ],
)
def test_a_package_that_no_stage_needs_may_be_missing(
    package, options, recipe, capsys, monkeypatch
):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == package else n
    )
    assert main([*OPTIONS, *options]) == 1
    assert "stage 1: local/data.sh is missing" in capsys.readouterr().err


def test_a_back_end_that_cannot_serve_is_told_before_the_first_stage(
    recipe, capsys, monkeypatch
):
    monkeypatch.setenv("decode_cmd", "queue.pl --mem 4G")
    assert main(OPTIONS) == 2
    captured = capsys.readouterr()
    assert "decode_cmd='queue.pl --mem 4G' (cmd.sh): without an" in captured.err
    assert captured.out == ""


def test_a_full_disk_is_one_line(recipe, capsys):
    assert main([*OPTIONS, "--stage", "3", "--min_free_gb", "1e9"]) == 1
    error = capsys.readouterr().err.strip()
    assert "stage 3 needs 1e+09 GB of free disk space" in error
    assert len(error.splitlines()) == 1


def test_a_failing_data_script_stops_the_run(recipe, capfd):
    (recipe / "local").mkdir()
    (recipe / "local" / "data.sh").write_text("echo no such corpus: $*\nexit 3\n")
    data = ["--local_data_opts", "--corpus x", "--stop_stage", "1"]
    assert main([*OPTIONS, *data]) == 1
    captured = capfd.readouterr()
    assert "no such corpus: --corpus x" in captured.out
    assert "local/data.sh ended with exit code 3" in captured.err


def test_a_data_script_that_makes_another_set_is_reported(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "data.sh").write_text("mkdir -p data/other\n")
    assert main([*OPTIONS, "--stop_stage", "1"]) == 1
    assert f"made no data/{SETS[0]}" in capfd.readouterr().err


STAND_IN = """
import sys, time
if "espnet2.bin.asr_train" in sys.argv:
    print("line of the log")
    print("RuntimeError: the reason of the failure")
    sys.exit(5)
"""


def test_a_failing_program_shows_the_end_of_its_log(recipe, capsys):
    stand_in = recipe / "stand_in.py"
    stand_in.write_text(STAND_IN)
    assert main([*OPTIONS, "--stage", "3", "--stop_stage", "4"]) == 0
    tokens = recipe / "data/token_list/char/tokens.txt"
    tokens.parent.mkdir(parents=True)
    tokens.write_text("<blank>\n<unk>\no\n<sos/eos>\n")
    python = shlex.join([sys.executable, str(stand_in)])
    assert main([*OPTIONS, "--python", python, "--stage", "10"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert "  | RuntimeError: the reason of the failure" in lines
    what = "run.sh: error: stage 10: asr_train --collect_stats job 1 ended with exit "
    assert lines[-1].startswith(f"{what}code 5 (2 of 2 jobs failed); its log: ")
    log = Path(lines[-1].partition("its log: ")[2])
    assert "line of the log" in log.read_text()
    assert not (recipe / "exp/asr_stats_raw_char/train").exists()


def test_a_program_that_is_not_there_is_one_line(recipe, capsys):
    assert main([*OPTIONS, "--stage", "3", "--stop_stage", "5", "--python", "no"]) == 1
    assert "--python no: No such file" in capsys.readouterr().err.splitlines()[-1]


def test_bpe_larger_than_the_text_allows_names_the_option(recipe, capsys):
    bpe = ["--token_type", "bpe", "--nbpe", "5000", "--stage", "3", "--stop_stage", "5"]
    assert main([*OPTIONS, *bpe]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "stage 5: --nbpe 5000: " in error and "too high" in error


def test_bpe_tokens_stand_between_espnets_symbols(recipe):
    bpe = ["--token_type", "bpe", "--nbpe", "9", "--stage", "3", "--stop_stage", "5"]
    assert main([*OPTIONS, *bpe]) == 0
    folder = recipe / "data/token_list/bpe_unigram9"
    tokens = (folder / "tokens.txt").read_text().splitlines()
    assert tokens[:2] == ["<blank>", "<unk>"] and tokens[-1] == "<sos/eos>"
    assert len(tokens) == 9 and len(set(tokens)) == 9
    assert (folder / "bpe.model").is_file()


LOG = """\
[train] mini-batch sizes summary: N-batch=10, mean=8.0, min=7, max=9
2030-01-01 00:00:00,000 (trainer:338) INFO: 3/8epoch started
2030-01-01 00:00:01,000 (trainer:811) INFO: 3epoch:train:1-5batch: loss=9.1
"""
RESULT = """\
2030-01-01 00:00:02,000 (trainer:394) INFO: 3epoch results: [train] loss=9.000, \
kept_ratio=0.9, [valid] loss_ctc=5.0, loss=4.125, kept_ratio=0.311, time=2 seconds
"""


def test_the_bar_follows_the_training_log(tmp_path):
    path = tmp_path / "train.log"
    epochs = []
    with TrainingProgress(path, lambda: epochs.append(1)) as progress:
        progress.update()
        path.write_text(LOG)
        progress.update()
        assert progress.bar.total == 8
        assert progress.bar.n == 2.5
        assert progress.bar.initial == 2, "a resumed training begins in the middle"
        with path.open("a") as stream:
            stream.write(RESULT)
        progress.update()
        assert progress.bar.n == 3
        assert "valid loss=4.125" in progress.bar.postfix
        assert "kept=0.311" in progress.bar.postfix
    assert epochs == [1]


def save(path, content=b"weights"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", content)


def test_a_checkpoint_cut_off_gives_way_to_the_last_whole_one(tmp_path):
    checkpoint = tmp_path / training.CHECKPOINT
    save(checkpoint, b"epoch 1")
    training.copy_checkpoint(tmp_path)
    save(checkpoint, b"epoch 2")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    training.copy_checkpoint(tmp_path)
    training.restore_checkpoint(tmp_path)
    assert zipfile.ZipFile(checkpoint).read("data") == b"epoch 1"


def test_the_only_checkpoint_cut_off_means_to_begin_anew(tmp_path, capsys):
    checkpoint = tmp_path / training.CHECKPOINT
    checkpoint.write_bytes(b"half a checkpoint")
    training.restore_checkpoint(tmp_path)
    assert not checkpoint.exists()
    assert "starting anew" in capsys.readouterr().out


def test_real_time_factor_is_decoding_time_over_audio_time(tmp_path):
    stamp = "2030-01-01 00:00:0{},{:03d} (x:1) INFO: {}\n"
    (tmp_path / "asr_inference.1.log").write_text(
        stamp.format(1, 0, "speech length: 8000")
        + stamp.format(1, 250, "best hypo: one")
        # Begun, not finished: it must not be paired with the next one's end.
        + stamp.format(2, 0, "speech length: 80")
        + stamp.format(5, 0, "speech length: 16000")
        + stamp.format(5, 500, "best hypo: two")
    )
    speed = write_real_time_factor(tmp_path, 8000)
    assert speed["rtf"] == 0.25
    assert speed["utterances"] == 2
    assert "RTF: 0.250" in (tmp_path / "calculate_rtf.log").read_text()
    assert dict(read_rows(tmp_path / "calculate_rtf.log"))["Latency:"].startswith("375")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--ngpu", "99"], "stage 11: --ngpu 99, but"),
        (["--gpu_inference", "true"], "stage 12: --gpu_inference true, but 0 GPU(s)"),
    ],
)
def test_gpus_that_are_not_there_are_missed_before_the_first_stage(
    options, message, recipe, capsys
):
    (recipe / "local").mkdir()
    (recipe / "local/data.sh").write_text("exit 3\n")
    assert main([*OPTIONS, *options]) == 1
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""


TRAINING = """
encoder: blankskip_conformer
encoder_conf:
  gate_layers: [1]
  num_blocks: 2
"""


@pytest.mark.parametrize(
    "yaml, args, message",
    [
        ("max_epock: 3\n", "", "unrecognized arguments: max_epock (from train.yaml)"),
        ("  gate_layer: [1]\n", "", "no option gate_layer; did you mean gate_layers?"),
        ("optim: adam\noptim_conf: {l: 1}\n", "", "optim_conf: Adam has no option l"),
        ("", "--max_epock 3", "unrecognized arguments: --max_epock 3"),
        ("", "--model_conf ctc_wait=1", "did you mean ctc_weight?"),
        ("", "--encoder blankskip", "--encoder: invalid choice: 'blankskip'"),
    ],
)
def test_options_that_training_refuses_are_found_before_the_first_stage(
    yaml, args, message, recipe, capsys
):
    """In this process, as the program that it is takes ten seconds to begin."""
    (recipe / "train.yaml").write_text(TRAINING + yaml)
    found = training_options.main(["--config", "train.yaml", *args.split()])
    assert found == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    (recipe / "train.yaml").write_text(TRAINING)
    assert training_options.main(["--config", "train.yaml"]) == 0


def test_a_refused_option_of_training_ends_run_sh_before_stage_1(recipe, capsys):
    (recipe / "local").mkdir()
    (recipe / "local/data.sh").write_text("exit 3\n")
    (recipe / "train.yaml").write_text(TRAINING + "max_epock: 3\n")
    assert main([*OPTIONS, "--asr_config", "train.yaml"]) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    where = "run.sh: error: --asr_config train.yaml, --asr_args: "
    assert line.startswith(f"{where}unrecognized arguments: max_epock")
    assert captured.out == ""


def test_a_refused_option_of_decoding_ends_run_sh_before_stage_1(recipe, capsys):
    (recipe / "local").mkdir()
    (recipe / "local/data.sh").write_text("exit 3\n")
    (recipe / "decode.yaml").write_text("mode: skipping\nblank_treshold: 0.9\n")
    assert main([*OPTIONS, "--inference_config", "decode.yaml"]) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("run.sh: error: --inference_config decode.yaml: blank_tresh")
    assert captured.out == ""


@pytest.mark.parametrize(
    "config, arguments, said",
    [
        ("mode: dense\n", "", None),
        ("ctc_weight: 1.0\n", "", None),
        ("blank_threshold: 0.9\n", "", "decode.yaml: blank_threshold and no mode: "),
        ("nbest: 1\n", "--spike-extension=2", "decode.yaml: spike_extension and no"),
        ("mode: dense\n", "--spike_extension 2", None),
    ],
)
def test_options_of_gates_choose_our_decoder_which_is_said_where_no_mode_does(
    recipe, capsys, config, arguments, said
):
    """``asr_inference`` knows none of them, and said so after the training only."""
    (recipe / "local").mkdir()
    (recipe / "local/data.sh").write_text("exit 3\n")
    (recipe / "decode.yaml").write_text(config)
    options = [*OPTIONS, "--inference_config", "decode.yaml", "--stop_stage", "12"]
    options += ["--skip_train", "true", "--inference_args", arguments]
    assert main(options) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "no mode" in line]
    assert len(lines) == (said is not None)
    assert all(f"Stage 12: {said}" in line for line in lines)
    run = RecipeRun(parse_options(options))
    [decoding] = run.layout.decodings
    ours = config != "ctc_weight: 1.0\n"
    assert (decoder_module(run, decoding) == OWN_DECODER) == ours
    command = ["--config", "decode.yaml", *run.options.inference_args]
    assert (commands.replacement(commands.INFERENCE, command) == OWN_DECODER) == ours


@pytest.mark.parametrize(
    "config, message",
    [
        ("blank_threshold: 0.9\nctc_weight: 1.0\n", "ctc_weight is no option of decod"),
        ("blank_threshold: 0.3\n", "blank_threshold=0.3 must be at least 0.5"),
    ],
)
def test_a_decode_config_of_gates_is_refused_before_stage_1(
    recipe, capsys, config, message
):
    (recipe / "local").mkdir()
    (recipe / "local/data.sh").write_text("exit 3\n")
    (recipe / "decode.yaml").write_text(config)
    assert main([*OPTIONS, "--inference_config", "decode.yaml"]) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert f"--inference_config decode.yaml: {message}" in line
    assert captured.out == ""


def test_no_more_jobs_are_started_than_make_sense(recipe, monkeypatch, capsys):
    monkeypatch.setattr("espnet_blankskip.children.available_cores", lambda: 8)
    local = Local()
    assert local.sensible_jobs(50, 999) == 16
    assert local.sensible_jobs(50, 3) == 3
    assert local.sensible_jobs(2, 999) == 2
    monkeypatch.setattr("espnet_blankskip.children.available_cores", lambda: 1)
    assert local.sensible_jobs(50, 999) == 4
