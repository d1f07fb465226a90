"""The table of what was read, and the picture of it.

Word error rate against arithmetic: multiply-adds of encoder and head for ten seconds
of audio, against the stock conformer of ESPnet with conv2d and twelve layers of the
same width. Speed is measured elsewhere (``python -m benchmarks front``, ``encoder``).
"""

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

from benchmarks.frontier.readings import Reading, load
from benchmarks.frontier.rows import ROWS, configuration
from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.pictures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    STYLE_GRID,
    new_figure,
    save_png,
    tidy,
)
from espnet_blankskip.zoo.cost import EncoderCost, encoder_cost

SECONDS = 10
RESAMPLES = 10_000
#: Share of frames that may be kept where skipping is compared with what does not skip.
BUDGET = 0.4


@dataclass
class Line:
    """One line of the table: a model asked in one way, all seeds together.

    Attributes:
        row: Name in `ROWS`.
        way, gate: See `Reading`.
        wers: Word error rate of each seed in percent.
        kept: Mean share of frames after each gate.
        cheaper: Multiply-adds of the stock encoder over those of this one.
        readings: Of each seed, with its number.
    """

    row: str
    way: str
    gate: str
    wers: List[float]
    kept: List[float]
    cheaper: float
    readings: Dict[int, Reading]

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
    found: Dict[Tuple[str, str, str], Dict[int, Reading]] = {}
    for name, row in ROWS.items():
        if row.corpus != corpus:
            continue
        for seed in row.seeds:
            file = folder / f"{name}.{seed}" / "readings.json"
            for reading in load(file)[part] if file.is_file() else ():
                key = (name, reading.way, _in_words(reading.gate))
                found.setdefault(key, {})[seed] = reading
    result = []
    for (name, way, gate), readings in found.items():
        kept = np.mean([r.kept for r in readings.values()], axis=0).tolist()
        result.append(
            Line(
                name,
                way,
                gate,
                [r.wer for r in readings.values()],
                kept,
                _stock_cost(name) / _cost(name, next(iter(readings.values())), kept),
                readings,
            )
        )
    return result


def markdown(table: Sequence[Line]) -> Iterator[str]:
    """The table, a line at a time."""
    yield "| model | asked for | gate | kept | arithmetic saved | WER | seeds |"
    yield "|---|---|---|---|---|---|---|"
    for line in table:
        kept = " / ".join(f"{100 * share:.0f} %" for share in line.kept)
        wers = ", ".join(f"{wer:.1f}" for wer in line.wers)
        yield (
            f"| {line.row} | {line.way} | {line.gate} | {kept} | {line.cheaper:.1f}x "
            f"| {line.wer:.1f} % | {wers} |"
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
    figure = new_figure(8.0, 5.0)
    axes = figure.subplots()
    tidy(axes)
    shapes = {"dense": "o", "layer": "v", "skipping": "s"}
    rows = list(dict.fromkeys(line.row for line in table))
    for row, colour in zip(rows, cycle((BLUE, ORANGE, GREEN, INK))):
        axes.plot([], [], "o", color=colour, label=row)
        for line in table:
            if line.row != row:
                continue
            axes.plot(line.cheaper, line.wer, shapes[line.way.split()[0]], color=colour)
            skips = line.way == "skipping"
            gates = line.gate.split(":")[0]
            axes.annotate(
                f"{gates}: {100 * line.kept[-1]:.0f} %" if skips else line.way,
                (line.cheaper, line.wer),
                xytext=(5, -10 if rows.index(row) % 2 else 5),
                textcoords="offset points",
                fontsize=7,
                color=colour,
            )
    axes.legend(frameon=False, title="square: skipping (gate: kept)")
    axes.set_xlabel("times less arithmetic than ESPnet's encoder")
    axes.set_ylabel("word error rate [%]")
    axes.grid(**STYLE_GRID)
    axes.set_axisbelow(True)
    save_png(figure, path)


def chosen(table: Sequence[Line], dev: Sequence[Line], budget: float) -> List[Line]:
    """The skipping line of each row whose setting the dev set chooses.

    Args:
        table: Lines of the test set.
        dev: Lines of the dev set.
        budget: Largest share of frames kept after the last gate.
    """
    best: Dict[str, Line] = {}
    for line in dev:
        if line.way != "skipping" or line.kept[-1] > budget:
            continue
        if line.row not in best or line.wer < best[line.row].wer:
            best[line.row] = line
    settings = {(line.row, line.gate) for line in best.values()}
    return [line for line in table if (line.row, line.gate) in settings]


def differences(table: Sequence[Line], picked: Sequence[Line]) -> Iterator[str]:
    """Lines of text: what was picked against all that does not skip."""
    yield "| skipping | against | difference in WER | 95 % interval |"
    yield "|---|---|---|---|"
    for line in picked:
        for other in table:
            own_exit = other.way.startswith("layer") and other.row == line.row
            shared = line.readings.keys() & other.readings.keys()
            if not shared or not (other.way == "dense" or own_exit):
                continue
            apart, low, high = difference(line, other)
            yield (
                f"| {_name(line)} | {_name(other)} | {apart:+.1f} "
                f"| {low:+.1f} to {high:+.1f} |"
            )


def _name(line: Line) -> str:
    """A line of the table in a few words."""
    text = f"{line.row}, {line.way}"
    return text + (f" {100 * line.kept[-1]:.0f} %" if line.kept else "")


def _in_words(gate: Dict) -> str:
    """Gate options as a cell of the table."""
    if not gate:
        return ""
    layers = ",".join(map(str, gate["gate_layers"]))
    return (
        f"{layers}: {gate['blank_threshold']}, ±{gate['spike_extension']}, "
        f"{gate['attn_context']}, {gate['conv_context']}"
    )


def _cost(name: str, reading: Reading, kept: Sequence[float]) -> float:
    """Multiply-adds of a row's encoder, asked in one way."""
    config = configuration(ROWS[name])
    cost = _encoder_cost(name)
    layers = cost.layers
    if reading.way.startswith("layer "):
        layers = int(reading.way.split()[1])
    gates = reading.gate.get("gate_layers", [])
    running, total = 1.0, cost.subsampling
    for number in range(1, layers + 1):
        total += cost.layer(running)
        if number in gates:
            running = kept[list(gates).index(number)]
    total += running * cost.frames * cost.head
    if gates and not config["model_conf"]["factorized_ctc"]:
        total += cost.frames * cost.head
    return total


def _stock_cost(name: str) -> float:
    """Multiply-adds of ESPnet's encoder of a row's width: conv2d, twelve layers."""
    return _encoder_cost(name, input_layer="conv2d", num_blocks=12).dense()


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
    picked = chosen(table, lines(folder, corpus, "dev"), BUDGET)
    if picture:
        draw(table, picture)
    return "\n".join([*markdown(table), "", *differences(table, picked)]) + "\n"
