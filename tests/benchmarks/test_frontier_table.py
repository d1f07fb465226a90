"""The frontier's table: what was read, its arithmetic, and how far models are apart."""

from dataclasses import replace

import pytest

from benchmarks.frontier import arithmetic, ngram, readings, table
from benchmarks.frontier.__main__ import main
from benchmarks.frontier.early_exit import early_exits


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

    encoder = arithmetic._encoder_cost("an4-by4-bpe50-plain")
    assert encoder.head == 50 * 96
    head = encoder.frames * encoder.head
    for gates, kept, shares in (([2], [0.3], 1.0), ([2, 4], [0.5, 0.3], 1.5)):
        plain, factorized = (
            multiply_adds(f"an4-by4-bpe50-{name}", "skipping", gates, kept)
            for name in ("plain", "gate2")
        )
        assert plain - factorized == pytest.approx(shares * head)
    dense, stopped, early_exit = (
        multiply_adds("an4-by4-bpe50-plain", way, [], kept)
        for way, kept in (
            ("dense", []),
            ("layer 2", []),
            ("early exit at layer 2, 25 % go on", [0.2]),
        )
    )
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
        if seed == 7:
            again = {"dev": found[:1], "test": found}
            readings.write(again, file.with_name(ngram.READINGS))
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
    assert [line.split(" | ")[-1] for line in table.markdown(skipping)] == [
        "with n-gram |",
        "|---|---|---|---|---|---|---|---|",
        "45.0 % |",
        "40.0 % (1 of 2 seeds) |",
        "35.0 % (1 of 3 seeds) |",
    ]


def test_a_model_that_keeps_many_is_compared_where_it_keeps_fewest(tmp_path):
    dense = readings.Reading("dense", {}, [0, 0], [10, 10], [], [0.0, 0.0])
    found = [dense, replace(dense, way="layer 2")]
    found += [gate_reading(0.9, [0, 2], 0.45), gate_reading(0.95, [0, 1], 0.55)]
    (tmp_path / "an4-gate2.1").mkdir()
    file = tmp_path / "an4-gate2.1/readings.json"
    readings.write({"dev": found, "test": found}, file)
    read = table.lines(tmp_path, "an4")
    (line,) = list(table.summary(read))[2:]
    assert line.endswith("| 45 % |") and "| 10.0 % (" in line
    compared = list(table.differences(read))[2:]
    assert len(compared) == 3
    assert all("| an4-gate2, skipping at 2, 45 % |" in line for line in compared)


@pytest.fixture
def two_rows(tmp_path):
    """A folder in which two rows were read."""
    dense = readings.Reading("dense", {}, [1], [10], [], [0.0])
    for name in ("by4", "dense"):
        (tmp_path / f"{name}.1").mkdir()
        found = {"dev": [dense], "test": [dense]}
        readings.write(found, tmp_path / f"{name}.1/readings.json")
    return tmp_path


@pytest.mark.parametrize("rows", [["by4", "dense"], ["dense"], []])
def test_a_table_is_of_the_rows_that_were_asked_for(rows, two_rows, capsys):
    assert main(["table", "librispeech", *rows, "--folder", str(two_rows)]) == 0
    summary = capsys.readouterr().out.partition("\n\n")[0].splitlines()[2:]
    assert [line.split()[1] for line in summary] == (rows or ["by4", "dense"])


def test_a_row_that_was_not_read_is_in_no_table(two_rows):
    command = ["table", "librispeech", "dense", "by4-gate2", "--folder", str(two_rows)]
    with pytest.raises(SystemExit, match="not read yet: by4-gate2"):
        main(command)


def test_a_sweep_has_every_setting_that_was_read(tmp_path, capsys):
    def read(way, wrong, **gate):
        kept = [0.5] if gate else []
        return readings.Reading(way, gate, [wrong], [10], kept, [0.0])

    gate = dict(gate_layers=[2], spike_extension=1, conv_context="stale")
    found = [
        read("dense", 1),
        read("layer 2", 4),
        read("skipping", 2, blank_threshold=0.9, attn_context="all", **gate),
        read("skipping", 3, blank_threshold=0.999, attn_context="all", **gate),
        read("skipping", 5, blank_threshold=0.5, attn_context="kept", **gate),
    ]
    folder = tmp_path / "dense.1"
    folder.mkdir()
    readings.write({"dev": found, "test": found[:1]}, folder / "readings.json")
    assert main(["sweep", "dense", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "dense:1, dev set: dense 10.0 %, layer 2 40.0 %"
    assert [line.replace(" |", "|").replace("| ", "|") for line in said[4:6]] == [
        "|2|1|all|stale||||20.0 (50 %)||||30.0 (50 %)|",
        "|2|1|kept|stale|50.0 (50 %)||||||||",
    ]
