"""The table of what was read.

Word error rate against arithmetic: multiply-adds of encoder and head for ten seconds
of audio, against the stock conformer of ESPnet with conv2d and twelve layers of the
same width. Speed is measured elsewhere (``python -m benchmarks front``, ``encoder``).
"""

from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from benchmarks.frontier.arithmetic import times_less
from benchmarks.frontier.early_exit import GOING_ON, early_exits
from benchmarks.frontier.ngram import READINGS as NGRAM_READINGS
from benchmarks.frontier.readings import BUDGETS, Reading, chosen, gate_lists, load
from benchmarks.frontier.rows import ROWS

RESAMPLES = 10_000
#: Percent of the frames that may be kept where skipping is compared with other ways;
#: models that cannot keep so few are compared where they keep fewest.
BUDGET = 40


@dataclass
class Line:
    """One line of the table: a model asked in one way, all seeds together.

    Attributes:
        row: Name in `ROWS`.
        way: See `Reading`; skipping with the most frames in percent that the dev set
            was to keep, if it chose the settings.
        gate: Its settings in words, of all seeds.
        wers: Word error rate of each seed in percent.
        kept: Mean share of frames after each gate.
        cheaper: Multiply-adds of the stock encoder over those of this one.
        readings: Of each seed, with its number.
        ngram: The same with an n-gram, of the seeds that were read with one.
    """

    row: str
    way: str
    gate: str
    wers: List[float]
    kept: List[float]
    cheaper: float
    readings: Dict[int, Reading]
    ngram: Dict[int, Reading] = field(default_factory=dict)

    @property
    def wer(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.wers))


def lines(folder: Path, corpus: str, part: str = "test") -> List[Line]:
    """Everything that was read of a corpus's rows.

    Args:
        folder: Where the experiments are.
        corpus: Name in the rows.
        part: "dev" or "test".
    """
    found: Dict[Tuple[str, str], Dict[int, Reading]] = {}
    ngram: Dict[Tuple[str, str], Dict[int, Reading]] = {}
    for name in (name for name, row in ROWS.items() if row.corpus == corpus):
        for seed, experiment in _experiments(folder, name):
            greedy = load(experiment / "readings.json")
            for way, reading in _ways(greedy, part):
                seeds = found.setdefault((name, way), {})
                if reading:
                    seeds[seed] = reading
            file = experiment / NGRAM_READINGS
            if file.is_file():
                again = {**greedy, part: load(file)[part]}
                for way, reading in _ways(again, part):
                    if reading:
                        ngram.setdefault((name, way), {})[seed] = reading
    result: List[Line] = []
    for (name, way), readings in found.items():
        larger = way.startswith("skipping") and result[-1].readings == readings
        if larger or not readings:
            continue  # a budget that changes nothing, or is too small
        kept = np.mean([r.kept for r in readings.values()], axis=0).tolist()
        cheaper = [times_less(name, r) for r in readings.values()]
        result.append(
            Line(
                name,
                way,
                "; ".join(sorted({_in_words(r.gate) for r in readings.values()})),
                [r.wer for r in readings.values()],
                kept,
                float(np.mean(cheaper)),
                readings,
                ngram.get((name, way), {}),
            )
        )
    return result


def _experiments(folder: Path, name: str) -> List[Tuple[int, Path]]:
    """Seeds of a row that were read, ascending, and their experiments."""
    files = folder.glob(f"{name}.*/readings.json")
    numbered = [(file.parent.suffix[1:], file.parent) for file in files]
    return sorted((int(seed), path) for seed, path in numbered if seed.isdecimal())


def _ways(
    found: Dict[str, List[Reading]], part: str
) -> Iterator[Tuple[str, Optional[Reading]]]:
    """What was read of a set, with the way in words; settings as dev chose them.

    The ways are the same for all seeds; None where the dev set chose no settings.
    """
    by_gate = {_in_words(r.gate): r for r in found[part]}
    for reading in found[part]:
        if reading.way != "skipping":
            yield reading.way, reading
    for reading in early_exits(found, part):
        yield reading.way, reading
    swept = [reading for reading in found["dev"] if reading.way == "skipping"]
    for gates in gate_lists(swept):
        where = ",".join(map(str, gates))
        for budget in BUDGETS:
            best = chosen(swept, gates, budget)
            reading = by_gate.get(_in_words(best.gate)) if best else None
            yield f"skipping at {where}, {budget} %", reading


def summary(table: Sequence[Line]) -> Iterator[str]:
    """A line a model: all layers, stopping, early exit, and skipping within BUDGET.

    Or where it keeps fewest; how many seeds do is said where not all do.
    """
    yield (
        "| model | what | dense | stopping at the gate | early exit there | skipping "
        "| kept |"
    )
    yield "|---|---|---|---|---|---|---|"
    by_name = {(line.row, line.way): line for line in table}
    # of several gates the first
    skipping = {line.row: line for line in reversed(_within(table, BUDGET))}
    for row in dict.fromkeys(line.row for line in table):
        cells = [_cell(by_name[row, "dense"]), "", "", "", ""]
        if row in skipping:
            line = skipping[row]
            _, layer, early_exit = _other_ways(line)
            others = (by_name[row, layer], by_name[row, early_exit], line)
            cells[1:] = [*map(_cell, others), f"{100 * line.kept[-1]:.0f} %"]
            cells[-1] += _fewer(line.readings, by_name[row, "dense"].readings)
        yield f"| {row} | {ROWS[row].what} | {' | '.join(cells)} |"


def _cell(line: Line) -> str:
    return f"{line.wer:.1f} % ({line.cheaper:.1f}x)"


def _fewer(seeds: Dict[int, Reading], all_seeds: Dict[int, Reading]) -> str:
    """How many seeds did, if not all."""
    if len(seeds) == len(all_seeds):
        return ""
    return f" ({len(seeds)} of {len(all_seeds)} seeds)"


def markdown(table: Sequence[Line]) -> Iterator[str]:
    """The table, a line at a time."""
    yield (
        "| model | asked for | gate | kept | arithmetic saved | WER | seeds "
        "| with n-gram |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for line in table:
        kept = " / ".join(f"{100 * share:.0f} %" for share in line.kept)
        wers = ", ".join(f"{wer:.1f}" for wer in line.wers)
        again = [reading.wer for reading in line.ngram.values()]
        with_ngram = ""
        if again:
            with_ngram = f"{np.mean(again):.1f} %{_fewer(line.ngram, line.readings)}"
        yield (
            f"| {line.row} | {line.way} | {line.gate} | {kept} | {line.cheaper:.1f}x "
            f"| {line.wer:.1f} % | {wers} | {with_ngram} |"
        )


def difference(one: Line, other: Line) -> Tuple[float, float, float]:
    """Word error rate of one line over that of another, in points.

    Returns:
        The difference of the seeds that both have, and a 95 % interval by the paired
        bootstrap over utterances (Bisani and Ney, ICASSP 2004).

    Raises:
        ValueError: They share no seed.
    """
    seeds = sorted(one.readings.keys() & other.readings.keys())
    if not seeds:
        raise ValueError(f"{one.row} and {other.row} share no seed")
    words = np.array(one.readings[seeds[0]].words)
    apart = np.mean(
        [np.subtract(one.readings[s].errors, other.readings[s].errors) for s in seeds],
        axis=0,
    )
    draws = np.random.default_rng(0).integers(len(words), size=(RESAMPLES, len(words)))
    sampled = 100.0 * apart[draws].sum(1) / words[draws].sum(1)
    low, high = np.percentile(sampled, [2.5, 97.5])
    return 100.0 * float(apart.sum() / words.sum()), float(low), float(high)


def differences(table: Sequence[Line]) -> Iterator[str]:
    """Lines of text: skipping at BUDGET against all that does not skip.

    That is: the model's own dense pass, stopping at the gate, early exit there, and the
    dense pass of every model that was trained from the start.
    """
    yield "| skipping | against | difference in WER | 95 % interval | with n-gram |"
    yield "|---|---|---|---|---|"
    for line in _within(table, BUDGET):
        for other in table:
            own = other.row == line.row and other.way in _other_ways(line)
            rival = other.way == "dense" and not ROWS[other.row].trunk
            shared = line.readings.keys() & other.readings.keys()
            if not shared or not (own or rival):
                continue
            apart, low, high = difference(line, other)
            yield (
                f"| {_name(line)} | {_name(other)} | {apart:+.1f} "
                f"| {low:+.1f} to {high:+.1f} | {_with_ngram(line, other)} |"
            )


def _other_ways(skipping: Line) -> Tuple[str, str, str]:
    """The same model dense, stopping at the gate, and with early exit there."""
    gate = next(iter(skipping.readings.values())).gate["gate_layers"][0]
    return (
        "dense",
        f"layer {gate}",
        f"early exit at layer {gate}, {GOING_ON[1]} % go on",
    )


def _with_ngram(one: Line, other: Line) -> str:
    """The difference of two lines with the n-gram, if both were read with it."""
    if not one.ngram.keys() & other.ngram.keys():
        return ""
    pair = (replace(line, readings=line.ngram) for line in (one, other))
    apart, low, high = difference(*pair)
    return f"{apart:+.1f}, {low:+.1f} to {high:+.1f}"


def _within(table: Sequence[Line], budget: float) -> List[Line]:
    """For each model and list of gates the line that keeps most within a budget.

    Where none keeps so few, it is the line that keeps fewest.
    """
    found: Dict[Tuple[str, str], Line] = {}
    for line in table:  # larger budgets come later
        way, _, most = line.way.rstrip(" %").partition(", ")
        first = (line.row, way) not in found
        if way.startswith("skipping") and (first or float(most) <= budget):
            found[line.row, way] = line
    return list(found.values())


def _name(line: Line) -> str:
    """A line of the table in a few words."""
    return f"{line.row}, {line.way}"


def _in_words(gate: Dict) -> str:
    """Gate options as a cell of the table."""
    if not gate:
        return ""
    layers = ",".join(map(str, gate["gate_layers"]))
    return (
        f"{layers}: {gate['blank_threshold']}, ±{gate['spike_extension']}, "
        f"{gate['attn_context']}, {gate['conv_context']}"
    )


def write(table: Sequence[Line]) -> str:
    """The summary, the table and the differences as Markdown."""
    parts = (summary(table), [""], markdown(table), [""], differences(table))
    return "\n".join(chain.from_iterable(parts)) + "\n"
