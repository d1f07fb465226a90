"""A wrong command line is one clear line and exit code 2, before anything is done."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_folder import make_recipe, run_sh

from espnet_blankskip.recipe.__main__ import main
from espnet_blankskip.recipe.layout import Layout
from espnet_blankskip.recipe.option_list import OptionError
from espnet_blankskip.recipe.option_parsing import parse_options

SETS = ["--train_set", "tr", "--valid_set", "dev", "--test_sets", "eval"]

WRONG = [
    (["--satge", "1"], "unknown option --satge; did you mean --stage?"),
    (["--stage"], "--stage needs a value"),
    (["stage", "1"], "'stage' is not an option"),
    (["--stage", "0"], "--stage 0 must lie in 1..14"),
    (["--stage", "15"], "--stage 15 must lie in 1..14"),
    (["--stage", "one"], "--stage: invalid int value: 'one'"),
    (["--stop_stage", "15"], "--stop_stage 15 must lie in 1..14"),
    (["--stage", "5", "--stop_stage", "3"], "--stop_stage 3 is before --stage 5"),
    (["--skip_stages", "4 x"], "--skip_stages x must lie in 1..14"),
    (["--skip_train", "yes"], "--skip_train: 'yes' must be true or false"),
    (["--nj", "0"], "--nj: '0' must be at least 1"),
    (["--ngpu", "-1"], "--ngpu: '-1' must be at least 0"),
    (["--fs", "eight"], "--fs: 'eight' must be a rate from 1k to 192k"),
    (["--token_type", "phn"], "--token_type: invalid choice: 'phn'"),
    (["--feats_type", "fbank"], "--feats_type: invalid choice: 'fbank'"),
    (["--audio_format", "flac.ark"], "--audio_format: invalid choice"),
    (["--speed_perturb_factors", "0.9 9"], "--speed_perturb_factors: '0.9 9' must"),
    (["--use_lm", "true"], "--use_lm true needs an ESPnet tree"),
    (["--use_ngram", "true"], "--use_ngram true needs an ESPnet tree"),
    (["--num_nodes", "2"], "--num_nodes 2 needs an ESPnet tree"),
    (["--asr_config", "conf/no.yaml"], "--asr_config: no such file: conf/no.yaml"),
    (["--inference_config", "a.yaml,b.yaml"], "--inference_config: no such file"),
    (
        ["--inference_config", "a/x.yaml b/x.yaml"],
        "the results of a/x.yaml and b/x.yaml would have one name",
    ),
    (["--nlsyms_txt", "no.txt"], "--nlsyms_txt: no such file: no.txt"),
    (["--train_set", ""], "--train_set is required"),
    (["--test_sets", ""], "--test_sets is required"),
    (
        ["--min_wav_duration", "3", "--max_wav_duration", "2"],
        "--max_wav_duration 2 must be above --min_wav_duration 3",
    ),
]


@pytest.mark.parametrize("arguments, message", WRONG, ids=lambda x: str(x)[:40])
def test_wrong_option_is_one_line_and_exit_2(arguments, message, capsys):
    assert main([*SETS, *arguments]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert message in lines[0]
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--corpus", "timit"], "--corpus timit must be one of fsdd, mini_an4"),
        (["--corpus"], "--corpus needs a value"),
        (["--stage", "12", "--stop_stage", "11"], "--stop_stage 11 is before"),
        (["--asr_config", "no.yaml"], "--asr_config: no such file: no.yaml"),
        (["--decode-config", "n.yaml"], "--inference_config: no such file: n.yaml"),
        (["--nosuch", "1"], "unknown option --nosuch"),
    ],
)
def test_run_sh_refuses_in_one_line(arguments, message, tmp_path):
    folder = make_recipe(tmp_path)
    result = run_sh(folder, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / "data").exists()


def test_help_shows_the_corpus_and_what_run_sh_really_passes(tmp_path):
    result = run_sh(make_recipe(tmp_path), "--corpus", "an4", "--nbpe", "77", "--help")
    assert result.returncode == 0, result.stderr
    shown = " ".join(result.stdout.split())
    assert "--corpus CORPUS what local/data.sh makes the data of: fsdd" in shown
    assert "(not in asr.sh) (default: an4)" in shown
    for text in (
        "training set in data/ (required) (default: train_nodev)",
        "test sets in data/ (required) (default: train_dev test)",
        "size of the BPE vocabulary (default: 77)",
        "'0.9 1.0 1.1' (default: 0.9 1.0 1.1)",
        "decode_asr_ctc_greedy_dense.yaml conf/decode_asr_ctc_greedy.yaml",
        "for local/data.sh (default: --corpus an4)",
        "no stages 1-5 (default: false)",
        "name of the experiment (default: none)",
    ):
        assert text in shown
    assert "example: ./run.sh --corpus" in shown


def test_an_interrupt_before_the_first_stage_is_one_line(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "espnet_blankskip.recipe", *SETS],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "espnet_blankskip.kaldi.lists" in line:  # the stages' imports follow
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    said = [line for line in lines if not line.startswith("import time:")]
    assert said == ["run.sh: interrupted\n"]


def test_run_sh_says_where_it_must_be_called(tmp_path):
    shutil.copy(make_recipe(tmp_path) / "run.sh", tmp_path / "run.sh")
    result = run_sh(tmp_path)
    assert result.returncode == 2
    assert "call it in its own folder" in result.stderr


def test_broken_config_is_named(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("encoder: [conformer\n")
    with pytest.raises(OptionError, match="--asr_config .*broken.yaml"):
        parse_options([*SETS, "--asr_config", str(path)])
    path.write_text("- encoder\n")
    with pytest.raises(OptionError, match="option: value"):
        parse_options([*SETS, "--asr_config", str(path)])


def test_what_is_asked_for_twice_is_done_once(tmp_path):
    config = tmp_path / "x.yaml"
    config.write_text("mode: dense\n")
    twice = ["--test_sets", "eval tr eval", "--inference_config", f"{config} {config}"]
    layout = Layout(parse_options([*SETS, *twice]))
    assert layout.test_sets == ["eval", "tr"]
    assert [decoding.config for decoding in layout.decodings] == [config]


def test_values_are_read_as_asr_sh_reads_them():
    options = parse_options(
        ["--train-set", "tr", "--valid_set=dev", "--test-sets", "a b"]
        + ["--asr_args", "--max_epoch=3", "--fs", "44.1k", "--ngpu", "1"]
        + ["--local_data_opts", "--corpus fsdd", "--speed_perturb_factors", ""]
        + ["--ngpu", "0"]
    )
    assert options.train_set == "tr"
    assert options.valid_set == "dev"
    assert options.test_sets == ["a", "b"]
    assert options.asr_args == ["--max_epoch=3"]
    assert options.fs == 44100
    assert options.local_data_opts == ["--corpus", "fsdd"]
    assert options.speed_perturb_factors == []
    assert options.ngpu == 0, "the last one wins"


def test_folders_have_the_names_asr_sh_gives_them(tmp_path):
    config, decode = tmp_path / "train_x.yaml", tmp_path / "decode_y.yaml"
    config.write_text("max_epoch: 1\n")
    decode.write_text("mode: dense\n")
    options = parse_options(
        [*SETS, "--token_type", "bpe", "--nbpe", "50", "--lang", "en"]
        + ["--asr_config", str(config), "--asr_args", "--max_epoch 3"]
        + ["--speed_perturb_factors", "0.9 1.0", "--expdir", "e", "--dumpdir", "d"]
        + ["--inference_config", str(decode), "--inference_args", "--a 1"]
        + ["--inference_asr_model", "valid.loss.best.pth"]
    )
    layout = Layout(options)
    results = Path("e/asr_train_x_raw_en_bpe50_max_epoch3_sp")
    assert layout.asr_exp == results
    assert layout.asr_stats == Path("e/asr_stats_raw_en_bpe50_sp")
    assert layout.token_list == Path("data/en_token_list/bpe_unigram50/tokens.txt")
    assert layout.bpe_model == Path("data/en_token_list/bpe_unigram50/bpe.model")
    assert layout.train_set == "tr_sp"
    assert layout.dump("tr_sp") == Path("d/raw/tr_sp")
    tag = "decode_y_a1_asr_model_valid.loss.best"
    assert layout.results(layout.decodings[0], "eval") == results / tag / "eval"
    assert layout.packed == results / f"{results.name}_valid.loss.best.zip"
