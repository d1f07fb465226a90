"""How every picture of the package looks, and how it is written."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct to colour-blind readers and in grey.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#B8BEC6"
INK = "#30363D"
STYLE_GRID = dict(color="#D9DDE2", linewidth=0.7)
DPI = 160


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of a size in inches that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes) -> None:
    """Leave out the lines above and to the right of the data."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save_png(figure: Figure, path: Path) -> None:
    """Write a PNG whole or not at all, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.png")
    figure.savefig(partial, dpi=DPI)
    partial.replace(path)
