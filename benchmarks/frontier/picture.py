"""The picture of the table: word error rate against arithmetic."""

from pathlib import Path
from typing import Dict, List, Sequence

from matplotlib import colormaps

from benchmarks.frontier.table import Line
from espnet_blankskip.pictures.style import STYLE_GRID, new_figure, save_png, tidy

#: How it shows the ways to ask a model.
STYLES = {"dense": "o", "layer": "v", "early exit": "^:", "skipping": "s-"}


def draw(table: Sequence[Line], path: Path) -> None:
    """Draw it: a colour a model, a shape a way to ask it."""
    rows = list(dict.fromkeys(line.row for line in table))
    figure = new_figure(9.0, 7.0 + 0.1 * len(rows))
    axes = figure.subplots()
    tidy(axes)
    for kind, style in STYLES.items():
        axes.plot([], [], style, color="black", label=kind)
    palette = colormaps["tab10" if len(rows) <= 10 else "tab20"]
    for number, row in enumerate(rows):
        colour = palette(number % palette.N)
        axes.plot([], [], "o", color=colour, label=row)
        joined: Dict[str, List[Line]] = {}
        for line in table:
            if line.row == row:
                joined.setdefault(line.way.partition(", ")[0], []).append(line)
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
    figure.legend(
        frameon=False,
        fontsize=7,
        ncols=2,
        loc="outside lower center",
        title="at squares: percent of the frames kept after the gate",
        title_fontsize=7,
    )
    axes.set_xlabel("times less arithmetic than ESPnet's encoder of twelve layers")
    axes.set_ylabel("word error rate [%]")
    axes.grid(**STYLE_GRID)
    axes.set_axisbelow(True)
    save_png(figure, path)
