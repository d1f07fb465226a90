"""Scores are jiwer's counts over all references; the report is complete and sane."""

import argparse
import logging
import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from real_speech import digit_files
from tiny_experiment import write_experiment

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.decoding.time_stamps import FrameClock
from espnet_blankskip.evaluation import report
from espnet_blankskip.evaluation.asr_inference import AsrInference
from espnet_blankskip.evaluation.measure import (
    LoadedUtterance,
    compare,
    speeds,
    spread_by_length,
)
from espnet_blankskip.evaluation.modes import DENSE, SKIPPING, recognizer_at
from espnet_blankskip.evaluation.results_file import write_section
from espnet_blankskip.evaluation.scoring import score_folder, score_texts
from espnet_blankskip.evaluation.stock_twin import build_stock_twin
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.pictures.depth import DepthPicture, depth_figure

RATE = 8000


@pytest.mark.parametrize(
    "refs, hyps, wer, counts",
    [
        pytest.param(["a b c"], ["a b c"], 0.0, (3, 0, 0, 0), id="right"),
        pytest.param(["a b c"], ["a x c d"], 200 / 3, (2, 1, 0, 1), id="sub-ins"),
        pytest.param(["a b", "c"], ["", "c"], 200 / 3, (1, 0, 2, 0), id="empty-hyp"),
        pytest.param(["", "a"], ["x", "a"], 100.0, (1, 0, 0, 1), id="empty-ref"),
        pytest.param([""], [""], 0.0, (0, 0, 0, 0), id="both-empty"),
        pytest.param(["a  b"], [" a b "], 0.0, (2, 0, 0, 0), id="spaces"),
    ],
)
def test_word_errors(refs, hyps, wer, counts):
    scores, _ = score_texts(refs, hyps, "wer")
    assert scores["percent"] == pytest.approx(wer)
    names = ("correct", "substitutions", "deletions", "insertions")
    assert tuple(scores[n] for n in names) == counts


def test_only_insertions_have_no_rate():
    assert math.isnan(score_texts([""], ["x"], "wer")[0]["percent"])


def test_characters_count_the_space_between_words():
    scores, _ = score_texts(["ab c"], ["abc"], "cer")
    assert (scores["reference_length"], scores["deletions"]) == (4, 1)


def _write(path, **texts):
    path.write_text("".join(f"{k} {v}\n" for k, v in texts.items()))
    return path


def test_missing_hypotheses_are_counted_and_named(tmp_path, caplog):
    ref = _write(tmp_path / "ref", a="one two", b="three", c="four")
    hyp = _write(tmp_path / "text", c="four", a="one too")
    with caplog.at_level(logging.ERROR):
        scores = score_folder(ref, hyp, tmp_path)
    assert scores["wer"]["percent"] == pytest.approx(50.0)
    assert scores["wer"]["missing"] == 1
    assert any("1 of 3 utterances have no hypothesis" in m for m in caplog.messages)
    assert any(m.endswith(": b") for m in caplog.messages)
    result = (tmp_path / "score_wer" / "result.txt").read_text()
    assert "WER 50.00 %" in result
    for utt_id in "abc":
        assert f"=== {utt_id} ===" in result
    assert "CER" in (tmp_path / "score_cer" / "result.txt").read_text()


@pytest.mark.parametrize(
    "ref, hyp, words",
    [
        ({"a": "one"}, {"b": "one"}, "did decoding fail"),
        ({"a": "one"}, {}, "did decoding fail"),
        ({}, {"a": "one"}, "holds no reference"),
    ],
)
def test_nothing_decoded_is_no_score(tmp_path, ref, hyp, words):
    ref = _write(tmp_path / "ref", **ref)
    with pytest.raises(ValueError, match=words):
        score_folder(ref, _write(tmp_path / "text", **hyp), tmp_path)


def recognition(times=(), tokens=(), encoder=1.0, total=2.0, frames=50):
    depth = np.full(frames, 4)
    depth[: frames // 2] = 2
    return Recognition(
        text=" ".join(tokens),
        token=list(tokens),
        token_int=list(range(len(tokens))),
        score=0.0,
        times=tuple(times),
        depth=depth,
        blank_prob=np.linspace(0, 1, frames),
        kept_frames=frames - frames // 2,
        layers_run=int(depth.sum()),
        encoder_seconds=encoder,
        total_seconds=total,
        audio_seconds=10.0,
    )


def test_speed_is_the_median_of_ratios_within_a_repeat():
    """A machine that slows down for one repeat slows both rows, not the ratio."""
    passes = [
        {DENSE: [recognition(total=2.0 * load)], SKIPPING: [recognition(total=load)]}
        for load in (1.0, 1.0, 9.0)
    ]
    measured = speeds(passes, DENSE)
    assert measured[SKIPPING].speed_up == pytest.approx(2.0)
    assert measured[DENSE].total_rtf == pytest.approx(0.2)
    assert measured[DENSE].speed_up == 1.0


def test_timed_utterances_cover_short_and_long():
    utterances = [LoadedUtterance(str(n), np.zeros(n), "") for n in (5, 1, 4, 2, 3)]
    assert [u.utt_id for u in spread_by_length(utterances, 3)] == ["1", "3", "5"]
    assert len(spread_by_length(utterances, 0)) == 1
    assert len(spread_by_length(utterances, 99)) == 5


@pytest.mark.parametrize(
    "reference, wers",
    [("two", {"a": 100.0, "b": 0.0}), (None, {"a": 0.0, "b": 100.0})],
    ids=["transcripts", "against-a"],
)
@pytest.mark.parametrize(
    "repeats, timed", [(0, 4), (2, 3)], ids=["one-pass", "repeats"]
)
def test_all_utterances_are_scored_and_as_many_timed_as_fit(
    reference, wers, repeats, timed
):
    """Both settings take 3 s for an utterance together, so two repeats of three 18."""
    calls = []

    def saying(word, seconds):
        def recognize(samples):
            calls.append(word)
            return recognition(tokens=[word], total=seconds)

        return recognize

    utterances = [LoadedUtterance(str(n), np.zeros(n), reference) for n in range(4)]
    compared = compare(
        {"a": saying("one", 2.0), "b": saying("two", 1.0)},
        utterances,
        "a",
        "test",
        repeats,
        seconds=18.0,
    )
    assert {name: a.wer for name, a in compared.accuracies.items()} == wers
    assert (compared.timed, compared.speeds["b"].speed_up) == (timed, 2.0)
    assert len(calls) == 2 * (4 + repeats * timed)


def test_what_cannot_be_heard_counts_as_deleted():
    right = {"a": lambda samples: recognition(tokens=["one"])}
    utterances = [LoadedUtterance("1", np.zeros(1), "one")]
    for lost, wer in (((), 0.0), (["two", "one two"], 75.0)):
        compared = compare(right, utterances, "a", "test", lost=lost)
        assert compared.accuracies["a"].wer == wer


def test_nothing_is_compared_with_silence():
    silent = {"a": lambda samples: recognition(), "b": lambda samples: recognition()}
    with pytest.raises(ValueError, match="the a pass recognizes no word"):
        compare(silent, [LoadedUtterance("1", np.zeros(1), None)], "a", "test", 99, 1e9)


def test_a_section_replaces_itself_and_nothing_else(tmp_path):
    path = tmp_path / "exp" / "RESULTS.md"
    write_section(path, "dev", "old\n\n### part")
    write_section(path, "test", "other")
    write_section(path, "dev", "new")
    assert path.read_text() == "# Results of exp\n\n## dev\n\nnew\n\n## test\n\nother\n"


@pytest.mark.parametrize("count", [0, 1, 9, 40])
def test_tokens_do_not_overlap_in_the_picture(count):
    tokens = [("zero", "a", "seventeen")[i % 3] for i in range(count)]
    times = [
        (i * 4 / max(1, count), i * 4 / max(1, count) + 0.04) for i in range(count)
    ]
    figure = depth_figure(
        DepthPicture(
            utt_id="u",
            samples=np.random.default_rng(0).normal(0, 0.1, 4 * RATE),
            sample_rate=RATE,
            result=recognition(times, tokens),
            clock=FrameClock(0.08, 0.03),
            gate_layers=[2],
            num_layers=4,
            blank_threshold=0.9,
        )
    )
    renderer = figure.canvas.get_renderer()
    figure.canvas.draw()
    panel = figure.axes[1]
    boxes = [t.get_window_extent(renderer) for t in panel.texts]
    assert len(boxes) == count
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        assert box.y1 <= figure.axes[0].get_window_extent(renderer).y0


@pytest.fixture(scope="module")
def test_set(tmp_path_factory):
    """A recipe folder with one experiment and six strings of spoken digits."""
    words = dict(zip("1234", ("one", "two", "three", "four")))
    found = digit_files(*(f"{d}_george_{i}" for d in range(1, 4) for i in range(5)))
    folder = tmp_path_factory.mktemp("recipe")
    write_experiment(folder / "exp" / "asr_tiny", factorized=True)
    data = folder / "dump" / "raw" / "test"
    data.mkdir(parents=True)
    scp, text = [], []
    for n in range(6):
        chosen = found[2 * n : 2 * n + 2]
        samples = [soundfile.read(f, dtype="float32")[0] for f in chosen]
        soundfile.write(folder / f"u{n}.wav", np.concatenate(samples), RATE)
        scp.append(f"u{n} {folder}/u{n}.wav")
        text.append(f"u{n} {' '.join(words[f.name[0]] for f in chosen)}")
    (data / "wav.scp").write_text("\n".join([*scp, "x-gone /nowhere/x.wav"]) + "\n")
    (data / "text").write_text("\n".join([*text, "x-gone one"]) + "\n")
    (data / "speech_kind").write_text("human\n")
    return folder


def test_stock_encoder_with_our_weights_says_what_dense_says(test_set):
    exp = test_set / "exp" / "asr_tiny"
    ours = BlankSkipSpeech2Text(
        exp / "config.yaml", exp / "model.pth", mode=DENSE, fast=False
    )
    twin = build_stock_twin(ours.asr_model, ours.asr_train_args)
    assert type(twin.encoder).__module__.startswith("espnet2.")
    stock = BlankSkipSpeech2Text.from_model(twin, ours.asr_train_args, DENSE)
    for path in sorted(test_set.glob("u*.wav")):
        samples = soundfile.read(path, dtype="float32")[0]
        theirs, result = stock(samples), ours(samples)
        assert result.token_int == theirs.token_int
        assert result.score == theirs.score


def test_asr_inference_skips_nothing_whichever_encoder_it_has(test_set):
    """Where there is no stock encoder, the checkpoint's own runs densely."""
    exp = test_set / "exp" / "asr_tiny"
    files = exp / "config.yaml", exp / "model.pth"
    ours = BlankSkipSpeech2Text(*files, mode=DENSE, fast=False)
    stock = build_stock_twin(ours.asr_model, ours.asr_train_args).encoder
    with_stock, without = (AsrInference(*files, RATE, e) for e in (stock, None))
    for path in sorted(test_set.glob("u*.wav")):
        samples = soundfile.read(path, dtype="float32")[0]
        theirs, result, dense = with_stock(samples), without(samples), ours(samples)
        assert result.token_int == theirs.token_int
        assert result.score == pytest.approx(theirs.score)
        assert (theirs.depth == dense.depth).all() and (result.depth == 4).all()
        assert 0 < result.encoder_seconds < result.total_seconds
        assert result.audio_seconds == dense.audio_seconds


def test_a_layer_that_espnet_lacks_is_named_where_a_stock_twin_is_asked_for():
    model = torch.nn.Identity()
    args = argparse.Namespace(
        encoder="blankskip_conformer", encoder_conf=dict(input_layer="dw_conv2d8")
    )
    with pytest.raises(
        ValueError, match="input_layer=dw_conv2d8.*no encoder of ESPnet"
    ):
        build_stock_twin(model, args)


def test_a_setting_leaves_the_gate_as_trained(test_set):
    exp = test_set / "exp" / "asr_tiny"
    speech2text = BlankSkipSpeech2Text(exp / "config.yaml", exp / "model.pth")
    samples = soundfile.read(test_set / "u0.wav", dtype="float32")[0]
    trained = speech2text.gate_options
    gate = GateOptions(blank_threshold=1.1, attn_context="all", mode=SKIPPING)
    assert recognizer_at(speech2text, gate)(samples).kept_ratio == 1.0
    assert speech2text.gate_options == trained
    skipping = recognizer_at(speech2text, GateOptions(mode=SKIPPING))
    assert skipping(samples).kept_ratio < 1.0


def test_report_writes_one_table_and_two_pictures(test_set, monkeypatch, capsys):
    monkeypatch.chdir(test_set)
    words = ["--asr_exp", "exp/asr_tiny", "--asr_model_file", "model.pth"]
    words += ["--timing_seconds", "1", "--sweep_seconds", "1"]
    assert report.main(words) == 0
    shown = capsys.readouterr().out
    results = Path("exp/asr_tiny/RESULTS.md").read_text()
    for text in (shown, results):
        rows = re.findall(r"^\| ([a-z][a-z_, 1]+?) +\|(.*)\|$", text, re.MULTILINE)
        names = [name for name, _ in rows]
        assert names == [
            *("decoding", "asr_inference, beam 1", "stock encoder", "dense"),
            *("skipping, without fast", "skipping", "intermediate"),
        ]
        table = {name: cells.split("|") for name, cells in rows[1:]}
        kept = {name: float(cells[2]) for name, cells in table.items()}
        assert kept["dense"] == kept["stock encoder"] == 100.0
        assert kept["intermediate"] == 0.0 < kept["skipping"] < 100.0
        assert table["dense"][0] == table["stock encoder"][0]
        assert table["skipping"][0] == table["skipping, without fast"][0]
        assert kept["asr_inference, beam 1"] == 100.0
        assert table["asr_inference, beam 1"][6].strip() == "1.00x"
        assert table["dense"][5].strip() == "1.00x"
        assert all(float(cells[3]) > 0 for cells in table.values())
    assert "x-gone" in shown and "1 more count as deleted (x-gone)" in results
    for fact in ("human speech", "6 utterances", "threads: 1", "gate after layer 2"):
        assert fact in results
    assert "`python -m espnet_blankskip.evaluation.report --asr_exp" in results
    pictures = re.findall(r"\]\((images/[^)]+\.png)\)", results)
    assert len(pictures) == 2
    for picture in pictures:
        assert Path("exp/asr_tiny", picture).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "options, words",
    [
        (["--timing_repeats", "3"], "--timing_repeats 3 must be at least 7"),
        (["--test_set", "nothing"], "nothing/wav.scp"),
        (["--asr_model_file", "nothing.pth"], "nothing.pth"),
    ],
)
def test_wrong_options_are_one_line(test_set, monkeypatch, capsys, options, words):
    monkeypatch.chdir(test_set)
    base = ["--asr_exp", "exp/asr_tiny", "--asr_model_file", "model.pth"]
    assert report.main([*base, *options]) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if "report:" in x]
    assert len(lines) == 1 and words in lines[0]
