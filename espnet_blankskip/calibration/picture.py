"""The frontier as a PNG."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from espnet_blankskip.calibration.chart import Chart
from espnet_blankskip.gate_options import layers_in_words
from espnet_blankskip.pictures.style import (
    GREEN,
    GREY,
    INK,
    STYLE_GRID,
    new_figure,
    save_png,
    tidy,
)

MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "pentagon": "p",
    "wedge": "v",
    "hexagon": "h",
}


def draw_frontier(chart: Chart, title: str, y_label: str, path: Path) -> None:
    """Write the picture.

    Args:
        chart: what to show.
        title: one line above it.
        y_label: what the WER is compared with.
        path: PNG to write.
    """
    save_png(frontier_figure(chart, title, y_label), path)


def frontier_figure(chart: Chart, title: str, y_label: str) -> Figure:
    """Return the figure that ``draw_frontier`` writes."""
    figure = new_figure(8.2, 5.4)
    axes = figure.subplots()
    axes.axhspan(chart.y_range[0], chart.limit, color=GREEN, alpha=0.09, zorder=0)
    axes.axhline(0.0, color=INK, linestyle="--", linewidth=1, zorder=1)
    axes.plot(1.0, 0.0, marker="*", markersize=14, color=INK, zorder=4, linestyle="")
    if chart.frontier:
        axes.plot(*zip(*chart.frontier), color=INK, linewidth=1.2, zorder=2)
    for mark in chart.marks:
        axes.plot(
            mark.x,
            mark.y,
            marker=MARKERS[mark.shape],
            color=mark.colour,
            # hollow: another point is faster and no worse
            markerfacecolor=mark.colour if mark.on_frontier else "white",
            markersize=8 if mark.on_frontier else 6,
            alpha=1.0 if mark.on_frontier else 0.7,
            linestyle="",
            zorder=3,
        )
        if mark.recommended:
            _point_out(axes, chart, mark)
    for x, y, text in chart.layers:
        axes.plot(x, y, marker="X", markersize=9, color=INK, linestyle="", zorder=3)
        _write_beside(axes, chart, x, y, text)
    axes.set_xlim(*chart.x_range)
    axes.set_ylim(*chart.y_range)
    axes.set_xticks(*zip(*chart.x_ticks))
    axes.set_yticks(*zip(*chart.y_ticks))
    axes.set_xlabel("speed-up over the dense pass (right is faster)")
    axes.set_ylabel(y_label)
    axes.grid(**STYLE_GRID)
    axes.set_axisbelow(True)
    tidy(axes)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    figure.legend(
        handles=_legend(chart),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=9,
    )
    return figure


def _point_out(axes, chart: Chart, mark) -> None:
    """Ring the recommended point and write its setting beside it."""
    axes.plot(
        mark.x,
        mark.y,
        marker="o",
        markersize=16,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=1.6,
        linestyle="",
        zorder=5,
    )
    setting = mark.point.setting
    text = (
        f"recommended: threshold {setting.blank_threshold:g}, "
        f"extension {setting.spike_extension},\n"
        f"gate {layers_in_words(setting.gate_layers)}, attn {setting.attn_context}, "
        f"conv {setting.conv_context}"
    )
    left = mark.x > sum(chart.x_range) / 2
    below = mark.y > sum(chart.y_range) / 2
    axes.annotate(
        text,
        (mark.x, mark.y),
        xytext=(-14 if left else 14, -14 if below else 14),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if below else "bottom",
        fontsize=9,
        color=INK,
        zorder=6,
        bbox=dict(boxstyle="round", facecolor="white", edgecolor=GREY, alpha=0.9),
    )


def _write_beside(axes, chart: Chart, x: float, y: float, text: str) -> None:
    left = x > sum(chart.x_range) / 2
    axes.annotate(
        text,
        (x, y),
        xytext=(-8 if left else 8, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=9,
        color=INK,
    )


def _legend(chart: Chart) -> list:
    def handle(label, marker, colour, **style):
        return Line2D(
            [], [], marker=marker, color=colour, linestyle="", label=label, **style
        )

    handles = [handle(text, "o", colour) for text, colour in chart.extensions]
    handles += [handle(text, MARKERS[shape], GREY) for text, shape in chart.places]
    handles += [
        handle("dense pass", "*", INK, markersize=11),
        handle("beaten by another", "o", INK, markerfacecolor="white", alpha=0.7),
        Line2D([], [], color=INK, linewidth=1.2, label="frontier"),
        Line2D([], [], color=GREEN, linewidth=8, alpha=0.2, label="within the loss"),
    ]
    return handles
