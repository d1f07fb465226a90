"""The picture of a report's thresholds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from espnet_blankskip.pictures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    STYLE_GRID,
    new_figure,
    save_png,
    tidy,
)


@dataclass(frozen=True)
class SweepPoint:
    """Measurements at one threshold; `wer` and `kept` in percent."""

    threshold: float
    wer: float
    kept: float
    speed_up: float


def draw_sweep(
    points: Sequence[SweepPoint],
    dense_wer: float,
    intermediate_wer: Optional[float],
    trained_threshold: float,
    path: Path,
) -> None:
    """Draw word error rate and speed-up against the blank threshold.

    Args:
        points: One per threshold, ascending.
        dense_wer: WER in percent with every frame in every layer.
        intermediate_wer: WER in percent at the gate layer; None if it has none.
        trained_threshold: Threshold of the training config.
        path: PNG to write.
    """
    figure = new_figure(7.2, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True)
    # Thresholds crowd towards 1; the distance to 1 on a log axis spreads them.
    x = np.array([_spread(p.threshold) for p in points])

    top.plot(x, [p.wer for p in points], "o-", color=BLUE, label="skipping")
    top.axhline(dense_wer, color=INK, linestyle="--", label="dense (all layers)")
    values = [p.wer for p in points] + [dense_wer]
    if intermediate_wer is not None:
        label = "intermediate (gate layer)"
        top.axhline(intermediate_wer, color=GREEN, linestyle=":", label=label)
        values.append(intermediate_wer)
    room = 0.15 * (max(values) - min(values)) + 0.05
    top.set_ylim(max(0.0, min(values) - room), max(values) + room)
    top.set_ylabel("word error rate [%]")

    bottom.plot(x, [p.speed_up for p in points], "s-", color=ORANGE, label="skipping")
    bottom.axhline(1.0, color=INK, linestyle="--", label="dense (all layers)")
    speeds = [1.0] + [p.speed_up for p in points]
    spread = max(speeds) - min(speeds)
    bottom.set_ylim(
        min(speeds) - 0.15 * spread - 0.02, max(speeds) + 0.15 * spread + 0.02
    )
    bottom.set_ylabel("speed-up over dense")
    bottom.set_xlabel("blank threshold, and the share of frames kept by it")

    bottom.xaxis.set_major_locator(FixedLocator(x))
    bottom.xaxis.set_minor_locator(NullLocator())
    bottom.set_xticklabels([f"{p.threshold:g}\n{p.kept:.0f} %" for p in points])
    bottom.set_xlim(x[0] - 0.25, x[-1] + 0.25)
    for axes in (top, bottom):
        if x[0] <= _spread(trained_threshold) <= x[-1]:
            axes.axvline(
                _spread(trained_threshold),
                color=GREY,
                linewidth=6,
                alpha=0.4,
                zorder=0,
                label="as trained",
            )
        tidy(axes)
        axes.grid(axis="y", **STYLE_GRID)
        axes.legend(
            frameon=False,
            fontsize=9,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=4,
        )
    save_png(figure, path)


def _spread(threshold: float) -> float:
    return -np.log10(max(1e-6, 1.0 - threshold))
