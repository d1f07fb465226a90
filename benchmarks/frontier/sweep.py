"""What the gate's options do to one trained model: the whole sweep on the dev set."""

from itertools import chain
from pathlib import Path
from typing import Dict, Iterator, Tuple

from benchmarks.frontier.readings import THRESHOLDS, load

#: Options that a line of the table has; its columns are thresholds.
OPTIONS = ("gate_layers", "spike_extension", "attn_context", "conv_context")


def write(folder: Path) -> str:
    """Word error rate of every setting that was swept, and the frames it kept.

    Args:
        folder: A row's experiment, read.

    Returns:
        A Markdown table.
    """
    dev = load(folder / "readings.json")["dev"]
    cells: Dict[Tuple[str, ...], Dict[float, str]] = {}
    for reading in dev:
        if reading.way == "skipping":
            gates, *others = (reading.gate[name] for name in OPTIONS)
            line = (",".join(map(str, gates)), *map(str, others))
            cell = f"{reading.wer:.1f} ({100 * reading.kept[-1]:.0f} %)"
            cells.setdefault(line, {})[reading.gate["blank_threshold"]] = cell
    others = [f"{r.way} {r.wer:.1f} %" for r in dev if r.way != "skipping"]
    lines = chain([", ".join(others), ""], _table(cells))
    return "\n".join(lines) + "\n"


def _table(cells: Dict[Tuple[str, ...], Dict[float, str]]) -> Iterator[str]:
    """The lines of a Markdown table: options, then a column a threshold."""
    yield f"| gate | extension | attention | convolution | {_row(map(str, THRESHOLDS))}"
    yield "|---" * (len(OPTIONS) + len(THRESHOLDS)) + "|"
    for options, found in sorted(cells.items()):
        swept = (found.get(threshold, "") for threshold in THRESHOLDS)
        yield f"| {_row(chain(options, swept))}"


def _row(cells) -> str:
    return " | ".join(cells) + " |"
