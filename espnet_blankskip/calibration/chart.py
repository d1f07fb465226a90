"""The frontier as marks on a plane, for the PNG and for the page alike.

Right is faster, down is better. A bad setting may lose 80 points of WER where the
good ones differ by 0.2, so the loss is drawn on an asinh axis: linear around the
dense pass, logarithmic far from it.
"""

import math
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from espnet_blankskip.calibration.frontier import Point, Verdict, pareto
from espnet_blankskip.calibration.sweep import Sweep
from espnet_blankskip.gate_options import GateOptions, layers_in_words
from espnet_blankskip.pictures.style import BLUE, GREEN, ORANGE

# for spike extensions: Okabe and Ito's palette, which colour-blind readers can tell
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00")
# for gate layers and contexts
SHAPES = ("circle", "square", "triangle", "diamond", "pentagon", "wedge", "hexagon")
MIN_LINEAR = 0.1
_TICKS = (0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500)


@dataclass(frozen=True)
class Mark:
    """One point on the plane.

    Attributes:
        x: speed-up.
        y: place of its WER loss on the axis.
        colour, shape: what stands for its spike extension, and for the rest of it but
            the threshold.
        point: what it shows.
        on_frontier, recommended: whether it is.
    """

    x: float
    y: float
    colour: str
    shape: str
    point: Point
    on_frontier: bool
    recommended: bool


@dataclass(frozen=True)
class Chart:
    """Everything that both drawings show.

    Attributes:
        marks: the points, those on the frontier last.
        frontier: (x, y) of the frontier, ascending in x.
        layers: (x, y, text) of the gate layers alone.
        limit: y of the largest loss allowed.
        extensions: (text, colour) for the legend.
        places: (text, shape) for the legend; empty where all points have the same.
        x_ticks, y_ticks: (place, text).
        x_range, y_range: ends of the axes.
    """

    marks: List[Mark]
    frontier: List[Tuple[float, float]]
    layers: List[Tuple[float, float, str]]
    limit: float
    extensions: List[Tuple[str, str]]
    places: List[Tuple[str, str]]
    x_ticks: List[Tuple[float, str]]
    y_ticks: List[Tuple[float, str]]
    x_range: Tuple[float, float]
    y_range: Tuple[float, float]


def make_chart(sweep: Sweep, verdict: Verdict, max_wer_loss: float) -> Chart:
    """Lay out a sweep.

    Args:
        sweep: what was measured.
        verdict: what came of it.
        max_wer_loss: as for ``judge``.
    """
    width = max(max_wer_loss, MIN_LINEAR)

    def place(wer: float) -> float:
        return math.asinh((wer - sweep.dense.wer) / width)

    settings = [p.setting for p in sweep.points]
    extensions = sorted({s.spike_extension for s in settings})
    places = list(dict.fromkeys(_place(s) for s in settings))
    colour = {e: COLOURS[i % len(COLOURS)] for i, e in enumerate(extensions)}
    shape = {p: SHAPES[i % len(SHAPES)] for i, p in enumerate(places)}
    best = pareto(sweep.points, sweep.dense)
    marks = [
        Mark(
            p.speed_up,
            place(p.wer),
            colour[p.setting.spike_extension],
            shape[_place(p.setting)],
            p,
            p in best,
            p is verdict.point,
        )
        for p in sweep.points
    ]
    layers = [
        (g.speed_up, place(g.wer), f"layer {g.number} alone") for g in sweep.gates
    ]
    limit = place(sweep.dense.wer + max_wer_loss)
    ys = [m.y for m in marks] + [y for _, y, _ in layers] + [0.0, limit]
    xs = [m.x for m in marks] + [x for x, _, _ in layers] + [1.0]
    x_range, y_range = _widened(xs, 0.03), _widened(ys, 0.2)
    return Chart(
        marks=sorted(marks, key=lambda m: (m.on_frontier, m.recommended)),
        frontier=[(p.speed_up, place(p.wer)) for p in best],
        layers=layers,
        limit=limit,
        extensions=[(f"extension {e}", colour[e]) for e in extensions],
        places=[
            (_in_words(p, places), shape[p])
            for p in (places if len(places) > 1 else [])
        ],
        x_ticks=_even_ticks(*x_range),
        y_ticks=_loss_ticks(width, max_wer_loss, *y_range),
        x_range=x_range,
        y_range=y_range,
    )


def _place(setting: GateOptions) -> Tuple[str, str, str]:
    gates = layers_in_words(setting.gate_layers)
    return gates, f"attn {setting.attn_context}", f"conv {setting.conv_context}"


def _in_words(place: Tuple[str, str, str], places: Sequence[tuple]) -> str:
    """What sets one place apart from others: "gate 4, attn all"."""
    gates, *contexts = place
    apart = [c for n, c in enumerate(contexts, 1) if len({p[n] for p in places}) > 1]
    return ", ".join([f"gate {gates}", *apart])


def describe_point(point: Point, dense_wer: float) -> List[Tuple[str, str]]:
    """Names and values of a point, as hovering over it shows them."""
    return [
        ("gate layer", layers_in_words(point.setting.gate_layers)),
        ("threshold", f"{point.setting.blank_threshold:g}"),
        ("spike extension", str(point.setting.spike_extension)),
        ("attention context", point.setting.attn_context),
        ("convolution context", point.setting.conv_context),
        ("WER", f"{point.wer:.2f} % ({point.wer - dense_wer:+.2f})"),
        ("frames kept", f"{point.kept:.1f} %"),
        ("encoder RTF", f"{point.encoder_rtf:.4f}"),
        ("speed-up", f"{point.speed_up:.2f}x"),
    ]


def _widened(values: Sequence[float], least: float) -> Tuple[float, float]:
    room = max(least, 0.07 * (max(values) - min(values)))
    return min(values) - room, max(values) + room


def _even_ticks(low: float, high: float) -> List[Tuple[float, str]]:
    """About six round numbers between two ends."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    digits = max(1, -math.floor(math.log10(step)))
    return [(n * step, f"{n * step:.{digits}f}x") for n in range(first, last + 1)]


def _loss_ticks(
    width: float, limit: float, low: float, high: float
) -> List[Tuple[float, str]]:
    """Round losses that do not crowd each other on the asinh axis, and the limit."""
    ticks: List[Tuple[float, str]] = []
    for loss in (0.0, limit, *_TICKS, *(-t for t in _TICKS)):
        y = math.asinh(loss / width)
        apart = min((abs(y - other) for other, _ in ticks), default=math.inf)
        if low <= y <= high and apart >= (high - low) / 16:
            ticks.append((y, f"{loss:+g}" if loss else "0"))
    return sorted(ticks)
