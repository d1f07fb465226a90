"""Whole decoding is timed against ESPnet only where both hear the same."""

import numpy as np
import pytest
import soundfile
from search_extra import needs_search
from tiny_experiment import write_experiment

from benchmarks import decode, joint
from espnet_blankskip.inference import BlankSkipSpeech2Text

RATE = 8000
JOINT = "--layers 2 --width 64 --gate 1 --seconds 2 --tokens 2 --vocabulary 30".split()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe's folder with an experiment and three utterances, by relative paths."""
    folder = tmp_path_factory.mktemp("recipe")
    write_experiment(folder / "exp", factorized=True)
    (folder / "data").mkdir()
    wav_scp, text = "", ""
    for i, seconds in enumerate((1.0, 2.0, 1.5)):
        noise = np.random.default_rng(i).normal(0, 0.1, int(seconds * RATE))
        soundfile.write(folder / f"{i}.wav", noise, RATE)
        wav_scp, text = wav_scp + f"u{i} {i}.wav\n", text + f"u{i} one two\n"
    (folder / "data" / "wav.scp").write_text(wav_scp)
    (folder / "data" / "text").write_text(text)
    return folder


def options(recipe):
    words = f"--recipe {recipe} --exp exp --data data --model-file model.pth".split()
    return [*words, "--beams", "1", "2", "--repeats", "1"]


@needs_search
def test_decoding_is_timed_against_asr_inference(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert decode.main([*options(recipe), "--save", "results"]) == 0
    printed = capsys.readouterr().out
    assert "gives the stock encoder's labels on 3 utterances" in printed
    for name in ("asr_inference, beam 2", "ours, skipping, as one list"):
        assert f"| {name} |" in printed
    assert "7 tokens, 3 utterances" in printed
    assert (tmp_path / "results" / "results.jsonl").is_file()


@pytest.mark.parametrize("broken", ["dense", "list"])
@needs_search
def test_nothing_is_timed_that_hears_something_else(
    recipe, broken, monkeypatch, capsys
):
    monkeypatch.chdir(recipe)
    whole = BlankSkipSpeech2Text.__call__

    def deaf(self, speech, *rest):
        result = whole(self, speech, *rest)
        if broken == "dense" and self.mode == "dense":
            result.nbest[0].token_int.append(2)
        elif broken == "list" and isinstance(speech, list):
            result.reverse()
        return result

    monkeypatch.setattr(BlankSkipSpeech2Text, "__call__", deaf)
    assert decode.main(options(recipe)) == 1
    printed = capsys.readouterr().out
    assert "not timed" in printed and "RTF" not in printed


def test_joint_search_is_timed_over_three_encoders(capsys):
    assert joint.main([*JOINT, "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    assert "leaves the hypotheses as they were" in printed
    assert "| skipping, 3" in printed  # about 30 % of the frames are kept


def test_joint_search_that_changes_is_not_timed(capsys, monkeypatch):
    counted = iter(range(9))
    monkeypatch.setattr(joint, "hypotheses", lambda *_: next(counted))
    assert joint.main(JOINT) == 1
    printed = capsys.readouterr().out
    assert "not timed" in printed and "speed-up" not in printed
