"""The table of what was read, and the picture of it.

Word error rate against arithmetic: multiply-adds of encoder and head for ten seconds
of audio, against the stock conformer of ESPnet with conv2d and twelve layers of the
same width. Speed is measured elsewhere (``python -m benchmarks front``, ``encoder``).
"""

from dataclasses import dataclass, field, replace
from itertools import chain, cycle
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

from benchmarks.frontier.early_exit import GOING_ON, early_exits
from benchmarks.frontier.ngram import READINGS as NGRAM_READINGS
from benchmarks.frontier.readings import BUDGETS, Reading, chosen, gate_lists, load
from benchmarks.frontier.rows import ROWS, configuration
from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.pictures.style import STYLE_GRID, new_figure, save_png, tidy
from espnet_blankskip.zoo.cost import EncoderCost, encoder_cost

SECONDS = 10
RESAMPLES = 10_000
#: Percent of the frames that may be kept where skipping is compared with other ways.
BUDGET = 40
#: How the picture shows the ways to ask a model.
STYLES = {"dense": "o", "layer": "v", "early exit": "^:", "skipping": "s-"}


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
    for name, row in ROWS.items():
        for seed in row.seeds if row.corpus == corpus else ():
            file = folder / f"{name}.{seed}" / "readings.json"
            if not file.is_file():
                continue
            greedy = load(file)
            for way, reading in _ways(greedy, part):
                found.setdefault((name, way), {})[seed] = reading
            file = file.with_name(NGRAM_READINGS)
            if file.is_file():
                again = {**greedy, part: load(file)[part]}
                for way, reading in _ways(again, part):
                    ngram.setdefault((name, way), {})[seed] = reading
    result: List[Line] = []
    for (name, way), readings in found.items():
        larger = way.startswith("skipping") and result[-1].readings == readings
        if larger:
            continue  # a budget that changes nothing
        kept = np.mean([r.kept for r in readings.values()], axis=0).tolist()
        cheaper = [_stock_cost(name) / _cost(name, r) for r in readings.values()]
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


def _ways(found: Dict[str, List[Reading]], part: str) -> Iterator[Tuple[str, Reading]]:
    """What was read of a set, with the way in words; settings as dev chose them."""
    by_gate = {_in_words(r.gate): r for r in found[part]}
    for reading in found[part]:
        if reading.way != "skipping":
            yield reading.way, reading
    for reading, share in zip(early_exits(found, part), cycle(GOING_ON)):
        yield f"{reading.way}, {share} % go on", reading
    swept = [reading for reading in found["dev"] if reading.way == "skipping"]
    for gates in gate_lists(swept):
        where = ",".join(map(str, gates))
        for budget in BUDGETS:
            best = chosen(swept, gates, budget)
            if best and _in_words(best.gate) in by_gate:
                yield f"skipping at {where}, {budget} %", by_gate[_in_words(best.gate)]


def summary(table: Sequence[Line]) -> Iterator[str]:
    """A line a model: all layers, stopping, early exit, and skipping within BUDGET."""
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
        yield f"| {row} | {ROWS[row].what} | {' | '.join(cells)} |"


def _cell(line: Line) -> str:
    return f"{line.wer:.1f} % ({line.cheaper:.1f}x)"


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
        with_ngram = f"{np.mean(again):.1f} %" if again else ""
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


def draw(table: Sequence[Line], path: Path) -> None:
    """Draw error rate against arithmetic: a colour a model, a shape a way to ask it."""
    figure = new_figure(9.0, 8.0)
    axes = figure.subplots()
    tidy(axes)
    for kind, style in STYLES.items():
        axes.plot([], [], style, color="black", label=kind)
    rows = list(dict.fromkeys(line.row for line in table))
    for number, row in enumerate(rows):
        colour = f"C{number % 10}"
        axes.plot([], [], "o", color=colour, label=f"{row}: {ROWS[row].what}")
        joined: Dict[str, List[Line]] = {}
        for line in table:
            if line.row == row:
                joined.setdefault(line.way.partition(",")[0], []).append(line)
        for way, points in joined.items():
            style = next(s for kind, s in STYLES.items() if way.startswith(kind))
            axes.plot(
                [line.cheaper for line in points],
                [line.wer for line in points],
                style,
                color=colour,
                markersize=4,
                linewidth=1,
            )
            if not way.startswith("skipping"):
                continue
            for line in points:
                axes.annotate(
                    f"{100 * line.kept[-1]:.0f}",
                    (line.cheaper, line.wer),
                    xytext=(0, -9 if number % 2 else 4),
                    textcoords="offset points",
                    fontsize=6,
                    color=colour,
                )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(
        frameon=False,
        fontsize=7,
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        title="at squares: percent of the frames kept after the gate",
        title_fontsize=7,
    )
    axes.set_xlabel("times less arithmetic than ESPnet's encoder of twelve layers")
    axes.set_ylabel("word error rate [%]")
    axes.grid(**STYLE_GRID)
    axes.set_axisbelow(True)
    save_png(figure, path)


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
    """For each model and list of gates the line that keeps most within a budget."""
    found: Dict[Tuple[str, str], Line] = {}
    for line in table:
        way, _, most = line.way.rstrip(" %").partition(", ")
        if way.startswith("skipping") and float(most) <= budget:
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


def _cost(name: str, reading: Reading) -> float:
    """Multiply-adds of a row's encoder, asked in one way."""
    if reading.way.startswith("early exit at "):
        stopped = replace(reading, way=reading.way.split(" at ")[1])
        dense = replace(reading, way="dense")
        share = reading.kept[0]
        return (1 - share) * _cost(name, stopped) + share * _cost(name, dense)
    config = configuration(ROWS[name])
    cost = _encoder_cost(name)
    layers = cost.layers
    if reading.way.startswith("layer "):
        layers = int(reading.way.split()[1])
    gates = reading.gate.get("gate_layers", [])
    attn_context = reading.gate.get("attn_context", "kept")
    running, total = 1.0, cost.subsampling
    for number in range(1, layers + 1):
        total += cost.layer(running, attn_context)
        if number in gates:
            running = reading.kept[list(gates).index(number)]
    total += running * cost.frames * cost.head
    if gates and not config["model_conf"]["factorized_ctc"]:
        total += cost.frames * cost.head
    return total


def _stock_cost(name: str) -> float:
    """Multiply-adds of ESPnet's encoder of a row's width: conv2d, twelve layers."""
    changes = dict(input_layer="conv2d", subsampling_channels=None, num_blocks=12)
    return _encoder_cost(name, **changes).dense()


def _encoder_cost(name: str, **changes) -> EncoderCost:
    """Arithmetic of a row's encoder, with options changed; positions are a table."""
    row = ROWS[name]
    options = {**configuration(row)["encoder_conf"], **changes}
    options = {k: v for k, v in options.items() if k not in ("gate_layers",)}
    with torch.device("meta"):
        encoder = BlankSkipConformerEncoder(80, **options)
        head = torch.empty(row.vocabulary + 2, encoder.output_size())
    state = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    state["ctc.ctc_lo.weight"] = head
    by = 8 if options["input_layer"].endswith("8") else 4
    cost = encoder_cost(state, options["input_layer"], 100 * SECONDS // by)
    return EncoderCost(**{**vars(cost), "table": 0.0})


def write(
    folder: Path, corpus: str, picture: Optional[Path], part: str = "test"
) -> str:
    """The table of a corpus as Markdown; draws the picture, if there is to be one."""
    table = lines(folder, corpus, part)
    if not table:
        raise ValueError(f"{folder}: no row of {corpus} has been read yet")
    if picture:
        draw(table, picture)
    parts = (summary(table), [""], markdown(table), [""], differences(table))
    return "\n".join(chain.from_iterable(parts)) + "\n"
