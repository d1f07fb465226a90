"""Stages 10 and 12 after a killed job: only what is missing is done again.

The commands are stand-ins (``stand_in_espnet.py``), the processes, the killing, the
splitting and the merging are real. The same on Slurm with ESPnet's own commands is in
``test_stages_slurm.py``.
"""

import shlex
import sys
from pathlib import Path

import pytest
from recipe_folder import SETS, make_data

from espnet_blankskip.kaldi.lists import read_rows, read_table
from espnet_blankskip.recipe.__main__ import main
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.resuming import check_each_once

STAND_IN = Path(__file__).with_name("stand_in_espnet.py")
UTTERANCES = 5
OPTIONS = ["--train_set", SETS[0], "--valid_set", SETS[1], "--test_sets", SETS[2]]
OPTIONS += ["--fs", "8k", "--nj", "3", "--inference_nj", "3", "--token_type", "char"]
OPTIONS += ["--python", shlex.join([sys.executable, str(STAND_IN)])]
OWN, STOCK = "espnet_blankskip.bin.asr_decode", "espnet2.bin.asr_inference"
RESULTS = "exp/asr_train_raw_char/inference_asr_model_valid.loss.ave/test"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_data(tmp_path, UTTERANCES)
    assert main([*OPTIONS, "--stage", "3", "--stop_stage", "4"]) == 0
    tokens = tmp_path / "data/token_list/char/tokens.txt"
    tokens.parent.mkdir(parents=True)
    tokens.write_text("<blank>\n<unk>\no\n<sos/eos>\n")
    experiment = tmp_path / "exp/asr_train_raw_char"
    experiment.mkdir(parents=True)
    for name in ("config.yaml", "valid.loss.ave.pth"):
        (experiment / name).touch()
    return tmp_path


def stage(number, *extra):
    return main([*OPTIONS, "--stage", str(number), "--stop_stage", str(number), *extra])


def calls(recipe):
    """Outputs of the commands run since the last look."""
    path = recipe / "calls"
    names = [line.split()[1] for line in path.read_text().splitlines()]
    path.unlink()
    return sorted(names)


def every_utterance_once(found, data):
    return [u for u, _ in read_rows(found)] == sorted(read_table(data / "wav.scp"))


@pytest.mark.parametrize("decoder", [OWN, STOCK])
def test_only_the_part_of_a_killed_job_is_decoded_again(
    decoder, recipe, monkeypatch, capsys
):
    decode = ["--inference_bin", decoder]
    monkeypatch.setenv("DIE_IN", "2")
    assert stage(12, *decode) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    what = f"run.sh: error: stage 12: {decoder} job 2 ended by signal 9"
    assert error.startswith(f"{what} (1 of 3 jobs failed); its log: ")
    assert error.endswith("test/logdir/asr_inference.2.log")
    assert calls(recipe) == ["output.1", "output.2", "output.3"]
    assert not (recipe / RESULTS / "text").exists()

    monkeypatch.delenv("DIE_IN")
    assert stage(12, *decode) == 0
    assert "Stage 12: 2 of 3 parts are there; to do: 2\n" in capsys.readouterr().out
    assert calls(recipe) == ["output.2"]
    assert every_utterance_once(recipe / RESULTS / "text", recipe / "dump/raw/test")


def test_a_part_is_not_used_for_other_options(recipe, monkeypatch, capsys):
    # The tag is given, as --inference_args would change the folder.
    decode = ["--inference_bin", OWN, "--inference_tag", "x"]
    monkeypatch.setenv("DIE_IN", "2")
    assert stage(12, *decode) == 1
    calls(recipe)
    for extra, name in (
        (["--inference_args", "--blank_threshold 0.9"], "inference_args"),
        (["--inference_nj", "2"], "inference_nj"),
    ):
        decode += extra
        assert stage(12, *decode) == 1
        assert f"begun with other {name}: beginning anew" in capsys.readouterr().out
        assert {"output.1", "output.2"} <= set(calls(recipe))
        assert stage(12, *decode) == 1
        assert calls(recipe) == ["output.2"]


def test_a_finished_decoding_is_done_anew_unless_reused(recipe):
    decode = ["--inference_bin", OWN]
    assert stage(12, *decode) == 0
    calls(recipe)
    assert stage(12, *decode) == 0
    assert calls(recipe) == ["output.1", "output.2", "output.3"]
    assert stage(12, *decode, "--reuse", "true") == 0
    assert not (recipe / "calls").exists()


def test_a_refused_option_leaves_the_hypotheses_that_are_there(recipe, capsys):
    decode = ["--inference_bin", OWN, "--inference_tag", "x"]
    results = recipe / "exp/asr_train_raw_char/x/test"
    assert stage(12, *decode) == 0
    (results / "score_wer").mkdir()  # of stage 13
    before = {p: p.read_text() for p in results.glob("*") if p.is_file()}
    assert results / "text" in before
    assert stage(12, *decode, "--inference_args", "--refused") == 1
    assert "no option --refused" in capsys.readouterr().err
    assert {p: p.read_text() for p in results.glob("*") if p.is_file()} == before
    calls(recipe)
    assert stage(12, *decode, "--reuse", "true") == 0
    assert not (recipe / "calls").exists(), "they are what they were, and done"
    assert stage(12, *decode) == 0
    assert not (results / "score_wer").exists(), "scores of other hypotheses"


def test_a_lost_utterance_is_never_passed_over(recipe, monkeypatch, capsys):
    lost = sorted(read_table(recipe / "dump/raw/test/wav.scp"))[-1]
    monkeypatch.setenv("LOSE", lost)
    assert stage(12, "--inference_bin", OWN) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{OWN} job 3 ended without its whole result (1 of 3 jobs failed)" in error
    calls(recipe)
    monkeypatch.delenv("LOSE")
    assert stage(12, "--inference_bin", OWN) == 0
    assert calls(recipe) == ["output.3"]
    assert every_utterance_once(recipe / RESULTS / "text", recipe / "dump/raw/test")


def test_statistics_of_a_killed_job_are_collected_again(recipe, monkeypatch, capsys):
    monkeypatch.setenv("DIE_IN", "3")
    assert stage(10) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "stage 10: asr_train --collect_stats job 3 ended by signal 9" in error
    assert calls(recipe) == ["stats.1", "stats.2", "stats.3"]
    monkeypatch.delenv("DIE_IN")
    assert stage(10) == 0
    assert "2 of 3 parts are there; to do: 3\n" in capsys.readouterr().out
    assert calls(recipe) == [".partial", "stats.3"]
    for part, name in zip(("train", "valid"), SETS):
        shapes = recipe / "exp/asr_stats_raw_char" / part / "speech_shape"
        assert every_utterance_once(shapes, recipe / "dump/raw" / name)


LISTS = {
    "lost": ("a x\n", "lacks utterances of wav.scp: b, c"),
    "doubled": ("a x\nb x\nb y\nc x\n", "has utterances more than once: b"),
    "strange": ("a x\nb x\nc x\nz x\n", "has utterances that wav.scp has not: z"),
}


@pytest.mark.parametrize("case", LISTS)
def test_a_merged_list_has_every_utterance_once(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wav_scp, text = Path("wav.scp"), Path("text")
    wav_scp.write_text("a 1\nb 2\nc 3\n")
    text.write_text("a\nb x\nc y\n")
    check_each_once("stage 12", text, wav_scp)
    content, message = LISTS[case]
    text.write_text(content)
    with pytest.raises(StageError, match=f"^stage 12: text {message}$"):
        check_each_once("stage 12", text, wav_scp)
