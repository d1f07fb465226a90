"""The frontier of error rate and arithmetic: what its rows, trainings and table do."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.frontier import __main__ as command_line
from benchmarks.frontier import arithmetic, data, ngram, readings, table, training
from benchmarks.frontier.__main__ import main
from benchmarks.frontier.early_exit import early_exits
from benchmarks.frontier.rows import BASE, ROWS, configuration
from espnet_blankskip.checkpoint.loading import read_train_config
from espnet_blankskip.checkpoint.model_building import build_asr_model
from espnet_blankskip.encoders import BlankSkipConformerEncoder

REPOSITORY = Path(__file__).resolve().parents[2]


def test_features_are_those_of_the_models_front_end(prepared):
    corpus = data.load(prepared / "train.pt")
    assert corpus.lens.shape == (3, 40) and len(corpus.frames) == corpus.lens.sum()
    ends = corpus.starts + corpus.lens
    assert ends.flatten().tolist() == corpus.lens.flatten().cumsum(0).tolist()
    slow, own, fast = corpus.lens.sum(1).tolist()
    assert slow / own == pytest.approx(1 / 0.9, rel=0.01)
    assert fast / own == pytest.approx(1 / 1.1, rel=0.01)


def test_token_ids_say_the_transcripts(prepared):
    corpus = data.load(prepared / "train.pt")
    tokens = data.token_list(prepared, 60)
    assert tokens[0] == "<blank>" and tokens[1] == "<unk>" and tokens[-1] == "<sos/eos>"
    for text, ids in zip(corpus.texts, corpus.tokens[60]):
        assert "".join(tokens[i] for i in ids).replace("▁", " ").strip() == text


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_a_model_of_espnet(name, prepared, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "token_list", lambda *_: ["<blank>", "<unk>", "a", "z"])
    training.write_config(ROWS[name], tmp_path, prepared, 1, 100)
    with torch.device("meta"):
        model = build_asr_model(read_train_config(tmp_path / "config.yaml"))
    assert len(model.encoder.encoders) == ROWS[name].changes.get(
        "encoder_conf.num_blocks", 6
    )
    stock = name.startswith("stock")
    assert ("espnet2." in type(model.encoder).__module__) == stock


def test_a_batch_is_padded_to_the_size_that_was_asked_for_and_drawn_again(prepared):
    corpus = data.load(prepared / "train.pt")
    drawn = training._batches(corpus, 1200, 60, 7, 0)
    batches = [next(drawn) for _ in range(30)]
    for batch in batches:
        utterances, frames, _ = batch["speech"].shape
        assert utterances * frames <= 1200 or utterances == 1
        assert batch["speech_lengths"].max() == frames
    later = training._batches(corpus, 1200, 60, 7, 10)
    for want, got in zip(batches[10:], later):
        torch.testing.assert_close(got["speech"], want["speech"])
        assert got["text"].equal(want["text"])


def trained(row, folder, prepared, steps=6, deadline=float("inf")):
    """Train a row; returns its weights, or None while it is not finished."""
    done = training.train(
        row, folder, prepared, 1, steps, 1e-3, 1500, "cpu", deadline=deadline
    )
    if not done:
        return None
    return torch.load(folder / training.WEIGHTS, weights_only=True)


def test_stopped_training_ends_as_if_never_stopped(
    prepared, tiny, tmp_path, monkeypatch
):
    whole = trained(tiny, tmp_path / "whole", prepared)
    with monkeypatch.context() as patch:
        clock = iter([0.0] * 4 + [9e9] * 9)  # late after some steps
        patch.setattr(training.time, "time", lambda: next(clock))
        assert trained(tiny, tmp_path / "parts", prepared, deadline=1e9) is None
    saved = torch.load(tmp_path / "parts" / training.RESUME, weights_only=True)
    assert 0 < saved["step"] < 6
    resumed = trained(tiny, tmp_path / "parts", prepared)
    assert resumed.keys() == whole.keys()
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight)


def test_a_row_goes_on_from_its_trunk(prepared, tiny, tmp_path):
    trained(tiny, tmp_path / "trunk.1", prepared, 10)
    branch = replace(tiny, trunk="trunk")
    same = trained(branch, tmp_path / "same.1", prepared, 10)
    for name, weight in trained(tiny, tmp_path / "trunk.1", prepared, 10).items():
        torch.testing.assert_close(same[name], weight)
    changes = {"model_conf.kd_weight": 1.0}
    other = trained(
        replace(branch, changes=changes), tmp_path / "other.1", prepared, 10
    )
    last = "encoder.encoders.3.feed_forward.w_1.weight"
    assert not other[last].equal(same[last])


def test_a_row_begins_with_the_encoder_of_another(prepared, tiny, tmp_path):
    first = trained(tiny, tmp_path / "start.1", prepared)
    config = read_train_config(tmp_path / "start.1/config.yaml")
    config.encoder_conf["num_blocks"] = 5
    model = build_asr_model(config)
    training._begin_with(model, tmp_path / "start.1" / training.WEIGHTS)
    own = model.state_dict()
    for name, weight in first.items():
        if name.startswith("encoder."):
            assert own[name].equal(weight), name
    assert not own["ctc.ctc_lo.weight"].equal(first["ctc.ctc_lo.weight"])


def test_each_batch_draws_gate_options(prepared, tiny, tmp_path, monkeypatch):
    seen = []
    set_gate = BlankSkipConformerEncoder.set_gate

    def watched(encoder, **options):
        set_gate(encoder, **options)
        seen.append(encoder.blank_threshold)

    monkeypatch.setattr(BlankSkipConformerEncoder, "set_gate", watched)
    drawn = (dict(blank_threshold=0.6), dict(blank_threshold=0.8))
    trained(replace(tiny, drawn=drawn), tmp_path, prepared, steps=12)
    assert len(seen) == 12 and set(seen) == {0.6, 0.8}


def test_a_training_goes_on_with_the_same_settings(prepared, tiny, tmp_path):
    trained(tiny, tmp_path / "trunk.1", prepared, 10)
    branch, old = replace(tiny, trunk="trunk"), tmp_path / "old.1"
    with pytest.raises(ValueError, match="trunk.1 was trained with steps 10 so far"):
        trained(branch, tmp_path / "branch.1", prepared, 5)
    old.mkdir()
    state = torch.load(tmp_path / "trunk.1" / training.SHARED, weights_only=True)
    assert state.pop("settings") == dict(steps=10, rate=1e-3, frames=1500)
    torch.save(state, old / training.SHARED)
    branch = replace(tiny, trunk="old")
    with pytest.raises(ValueError, match="old.1 was not trained for 20 steps"):
        trained(branch, tmp_path / "branch.1", prepared, 20)
    assert trained(branch, tmp_path / "branch.1", prepared, 10)


@pytest.mark.parametrize("what", ["weights", "readings"])
def test_what_is_killed_while_it_is_written_is_not_there(
    what, prepared, tiny, tmp_path, monkeypatch
):
    def half_a_file(*args, **_):
        next(x for x in args if isinstance(x, Path)).write_bytes(b"{")
        raise KeyboardInterrupt

    if what == "weights":
        monkeypatch.setattr(training.torch, "save", half_a_file)
        with pytest.raises(KeyboardInterrupt):
            trained(tiny, tmp_path, prepared, 1)
    else:
        monkeypatch.setattr(Path, "write_text", half_a_file)
        with pytest.raises(KeyboardInterrupt):
            readings.write({"dev": []}, tmp_path / "readings.json")
    for name in (training.WEIGHTS, "readings.json"):
        assert not (tmp_path / name).exists()


def test_without_its_trunk_a_row_says_what_to_train_first(prepared, tiny, tmp_path):
    branch = replace(tiny, trunk="trunk")
    with pytest.raises(FileNotFoundError, match="trunk.1 is to be trained first"):
        trained(branch, tmp_path / "branch.1", prepared)


def test_a_trained_row_is_read_in_every_way(prepared, tiny, tmp_path):
    trained(tiny, tmp_path, prepared)
    found = readings.read_all(tmp_path, prepared, "cpu")
    again = readings.load(tmp_path / "readings.json")
    assert again == found
    ways = {reading.way for reading in found["test"]}
    assert ways == {"dense", "layer 3", "skipping"}
    swept = [r for r in found["dev"] if r.way == "skipping"]
    assert len(swept) == 4 * len(readings.THRESHOLDS) + 4
    for budget in readings.BUDGETS:
        best = readings.chosen(swept, [3], budget)
        assert best is None or best.gate in [r.gate for r in found["test"]]
    for reading in found["test"]:
        words = [len(t.split()) for t in data.load(prepared / "test.pt").texts]
        assert reading.words == words and len(reading.errors) == len(words)


def made_line(errors, row="gate2"):
    """A line of the table with these errors in four utterances of ten words."""
    reading = readings.Reading("dense", {}, errors, [10] * 4, [], [0.0] * 4)
    return table.Line(row, "dense", "", [reading.wer], [], 1.0, {1: reading})


def test_a_difference_comes_with_the_interval_of_its_utterances():
    one, other = made_line([1, 2, 3, 4]), made_line([0, 1, 2, 3])
    assert table.difference(one, other) == pytest.approx((10.0, 10.0, 10.0))
    one, other = made_line([4, 0, 0, 0]), made_line([0, 0, 0, 0])
    apart, low, high = table.difference(one, other)
    assert apart == pytest.approx(10.0)
    assert low == pytest.approx(0.0) and high >= 20.0


def test_a_difference_needs_the_same_seeds():
    one, other = made_line([1, 2, 3, 4]), made_line([0, 1, 2, 3])
    other.readings[2] = other.readings.pop(1)
    with pytest.raises(ValueError, match="share no seed"):
        table.difference(one, other)


def cost(name, way="dense", gate=None, kept=()):
    """Arithmetic saved by a row, asked in one way."""
    reading = readings.Reading(way, gate or {}, [0], [1], list(kept), [0.0])
    return arithmetic.times_less(name, reading)


def test_arithmetic_is_counted_against_the_stock_encoder_with_conv2d():
    gate = dict(gate_layers=[2])
    assert cost("stock") == pytest.approx(1.0, rel=0.01)
    all_kept = cost("by4-gate2", "skipping", gate, [1.0])
    assert all_kept == pytest.approx(cost("by4"), rel=0.01)
    assert cost("by4-gate2", "skipping", gate, [0.3]) > 1.5 * all_kept
    assert cost("by4-gate2", "layer 2") > cost("by4-gate2", "skipping", gate, [0.01])
    assert cost("dense") > 1.5 * cost("by4")
    zero = dict(gate, conv_context="zero")
    assert cost("dense", "skipping", zero, [0.3]) > cost(
        "dense", "skipping", gate, [0.3]
    )


def test_every_use_of_the_head_is_counted():
    def multiply_adds(name, way, gates, kept):
        gate = dict(gate_layers=gates) if gates else {}
        reading = readings.Reading(way, gate, [0], [1], kept, [0.0])
        return arithmetic._cost(name, reading)

    encoder = arithmetic._encoder_cost("plain")
    assert encoder.head == 500 * 96
    head = encoder.frames * encoder.head
    for gates, kept, shares in (([2], [0.3], 1.0), ([2, 4], [0.5, 0.3], 1.5)):
        plain, factorized = (
            multiply_adds(name, "skipping", gates, kept) for name in ("plain", "gate2")
        )
        assert plain - factorized == pytest.approx(shares * head)
    dense = multiply_adds("dense", "dense", [], [])
    stopped = multiply_adds("dense", "layer 2", [], [])
    early_exit = multiply_adds("dense", "early exit at layer 2, 25 % go on", [], [0.2])
    assert early_exit == pytest.approx(0.8 * stopped + 0.2 * (dense + head))


def test_an_early_exit_stops_the_utterances_that_are_sure():
    def read(way, errors, confidence):
        return readings.Reading(way, {}, errors, [10, 10, 10, 30], [], confidence)

    dense = read("dense", [0, 0, 0, 0], [0.0] * 4)
    found = {
        "dev": [dense, read("layer 2", [0] * 4, [-1.0, -2.0, -3.0, -4.0])],
        "test": [dense, read("layer 2", [1, 2, 3, 4], [-1.0, -2.5, -2.6, -9.0])],
    }
    some, half, most = early_exits(found, "test")
    assert some.errors == [1, 2, 3, 0]
    assert some.way == "early exit at layer 2, 25 % go on" and some.kept == [0.5]
    assert some.kept <= half.kept <= most.kept


def gate_reading(threshold, errors, kept):
    """A skipping reading of two utterances of ten words."""
    gate = dict(
        gate_layers=[2],
        blank_threshold=threshold,
        spike_extension=1,
        conv_context="stale",
        attn_context="kept",
    )
    return readings.Reading("skipping", gate, errors, [10, 10], [kept], [0.0, 0.0])


def test_the_table_and_its_picture_hold_what_was_read(tmp_path, capsys):
    for seed, best in ((1, 0.9), (2, 0.95)):
        folder = tmp_path / f"an4-gate2.{seed}"
        folder.mkdir()
        layer2 = readings.Reading("layer 2", {}, [3, 3], [10, 10], [], [-1.0, -2.0])
        test = [
            readings.Reading("dense", {}, [seed, 0], [10, 10], [], [0.0, 0.0]),
            layer2,
            gate_reading(best, [1, 1], 0.3),
            gate_reading(0.99, [0, 0], 0.45),
        ]
        dev = [layer2, *(gate_reading(p, [2, 1], 0.35) for p in (0.9, 0.95))]
        dev += [gate_reading(best, [1, 0], 0.35), gate_reading(0.99, [0, 0], 0.45)]
        readings.write({"dev": dev, "test": test}, folder / "readings.json")
        again = [
            replace(test[0], errors=[0, 0]),
            layer2,
            replace(test[2], errors=[1, 0]),
        ]
        readings.write({"dev": [], "test": again}, folder / ngram.READINGS)
    picture = tmp_path / "frontier.png"
    command = ["table", "an4", "--folder", str(tmp_path), "--picture", str(picture)]
    assert main(command) == 0
    summary, table_lines, differences = capsys.readouterr().out.split("\n\n")
    (line,) = summary.splitlines()[2:]
    dense, stopping, early_exit, skipping, kept = line.strip("| ").split(" | ")[2:]
    assert dense.startswith("7.5 % (") and stopping.startswith("30.0 % (")
    assert skipping.startswith("10.0 % (") and kept == "30 %"
    lines = {line.split(" | ")[1]: line for line in table_lines.splitlines()[2:]}
    assert list(lines) == [
        "dense",
        "layer 2",
        *(f"early exit at layer 2, {n} % go on" for n in (25, 50, 75)),
        "skipping at 2, 35 %",
        "skipping at 2, 45 %",
    ]
    assert "7.5 % | 5.0, 10.0 | 0.0 % |" in lines["dense"]
    assert lines["skipping at 2, 35 %"].endswith("| 10.0, 10.0 | 5.0 % |")
    assert lines["skipping at 2, 45 %"].endswith("| 0.0, 0.0 |  |")
    assert "2: 0.9, ±1, kept, stale; 2: 0.95, ±1" in lines["skipping at 2, 35 %"]
    assert "| 30 % |" in lines["skipping at 2, 35 %"]
    lines = differences.splitlines()[2:]
    assert lines[0].startswith("| an4-gate2, skipping at 2, 35 % | an4-gate2, dense |")
    assert "| +2.5 |" in lines[0] and "| +5.0, +0.0 to +10.0 |" in lines[0]
    assert "| an4-gate2, layer 2 | -20.0 | -20.0 to -20.0 |" in lines[1]
    assert picture.stat().st_size > 10_000


def test_a_budget_that_some_seeds_cannot_keep_has_its_place_in_the_table(tmp_path):
    dense = readings.Reading("dense", {}, [0, 0], [10, 10], [], [0.0, 0.0])
    layer2 = replace(dense, way="layer 2")
    for seed, shares in ((1, (0.4, 0.5)), (7, (0.25, 0.4, 0.5)), (10, (0.5,))):
        swept = [gate_reading(0.5 + kept, [0, 0], kept) for kept in shares]
        better = [replace(r, errors=[0, 9 - n]) for n, r in enumerate(swept)]
        file = tmp_path / f"an4-gate2.{seed}" / "readings.json"
        file.parent.mkdir()
        found = [dense, layer2, *better]
        readings.write({"dev": found, "test": found}, file)
    (tmp_path / "an4-gate2.old").mkdir()
    skipping = [r for r in table.lines(tmp_path, "an4") if r.way.startswith("skip")]
    assert {r.way: list(r.readings) for r in skipping} == {
        "skipping at 2, 25 %": [7],
        "skipping at 2, 40 %": [1, 7],
        "skipping at 2, 50 %": [1, 7, 10],
    }
    assert [r.way for r in skipping] == [f"skipping at 2, {n} %" for n in (25, 40, 50)]
    (line,) = list(table.summary(table.lines(tmp_path, "an4")))[2:]
    assert line.endswith("| 40 % (2 of 3 seeds) |")


@pytest.mark.parametrize(
    "command, message",
    [
        (["train", "by5-gate3"], f"no row by5-gate3; there are: {next(iter(ROWS))},"),
        (["train", "dense:one"], "dense:one: a seed is a whole number"),
        (["train", "dense"], "no features in .*/librispeech: `prepare` makes them"),
        (["table", "an4"], "no row of an4 has been read yet"),
        (["ngram", "dense:2", "--arpa", "x"], "dense:2 is not read yet: train it"),
    ],
    ids=["row", "seed", "features", "table", "ngram"],
)
def test_what_is_not_there_is_named(command, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        main([*command, "--folder", str(tmp_path)])


def test_sets_to_pack_are_checked_as_they_are_typed(tmp_path, capsys):
    for typed in ("train", f"train={tmp_path}"):
        with pytest.raises(SystemExit):
            main(["pack", str(tmp_path / "tar"), typed])
        assert f"{typed} names no folder with a wav.scp" in capsys.readouterr().err


def test_no_minutes_are_time_for_no_step(prepared, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(ROWS, "tiny", replace(tiny, corpus="an4"))
    (tmp_path / "an4").symlink_to(prepared)
    command = ["train", "tiny", "--minutes", "0", "--steps", "2", "--device", "cpu"]
    assert main([*command, "--frames", "1000", "--folder", str(tmp_path)]) == 0
    assert "tiny:1 stopped with a checkpoint" in capsys.readouterr().out
    saved = torch.load(tmp_path / "tiny.1" / training.RESUME, weights_only=True)
    assert saved["step"] == 0


def test_rows_wait_for_those_that_they_begin_with(tmp_path, monkeypatch, capsys):
    started = {}

    def start(_, row, seed, __):
        needs = {(ROWS[row].trunk, seed), (ROWS[row].init, seed)} & set(wanted)
        assert all(started[pair].poll() is not None for pair in needs)
        ending = "false" if row == "an4-dense" else "sleep 0.3"
        started[row, seed] = subprocess.Popen(["sh", "-c", ending])
        return started[row, seed]

    monkeypatch.setattr(command_line, "_start", start)
    names = ["gate2", "dense", "an4-dense", "an4-layers4-gate2", "an4-layers4"]
    wanted = [(name, 1) for name in names]
    command = ["train", *names, "dense:1", "--jobs", "3", "--folder", str(tmp_path)]
    assert main(command) == 1
    assert len(started) == 5 and list(started)[-1] == ("gate2", 1)
    said = capsys.readouterr().out
    assert f"an4-dense:1 FAILED, see {tmp_path}/an4-dense.1/train.log" in said
    assert "gate2:1 ended" in said


def options_of(row):
    """Its options by dotted names, but for those that begin after branching."""
    late = ("train_skip", "attn_context", "conv_context", "spike_extension")
    late += ("kd_weight", "kd_frames")
    return {
        f"{section}.{name}": value
        for section, options in configuration(row).items()
        for name, value in dict(
            options if isinstance(options, dict) else {"": options}
        ).items()
        if name not in late
    }


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.trunk])
def test_a_row_and_its_trunk_share_all_that_the_first_steps_depend_on(name):
    row, trunk = ROWS[name], ROWS[ROWS[name].trunk]
    assert not trunk.trunk
    assert options_of(row) == options_of(trunk)
    # without gates batches are not counted
    assert options_of(trunk)["encoder_conf.gate_layers"]
    for shared in ("corpus", "vocabulary", "length"):
        assert getattr(row, shared) == getattr(trunk, shared)


@pytest.mark.slow
def test_killed_training_goes_on_in_a_new_process(prepared, tmp_path):
    (tmp_path / "an4").symlink_to(prepared)
    command = [sys.executable, "-m", "benchmarks.frontier", "train", "an4-layers4"]
    command += ["--steps", "40", "--frames", "1000", "--folder", str(tmp_path)]
    first = subprocess.Popen(command, cwd=REPOSITORY)
    checkpoint = tmp_path / "an4-layers4.1" / training.RESUME
    while not checkpoint.is_file() and first.poll() is None:
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    step = torch.load(checkpoint, weights_only=True)["step"]
    assert step > 0
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0
    assert json.loads((checkpoint.parent / "readings.json").read_text())["test"]


def test_configuration_leaves_the_base_as_it_is():
    before = json.dumps(BASE, sort_keys=True)
    for row in ROWS.values():
        configuration(row)
    assert json.dumps(BASE, sort_keys=True) == before
