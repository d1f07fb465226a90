"""The report's picture: what is saved, on what, and how long audio behaves."""

from pathlib import Path
from typing import Sequence

from benchmarks.results import Result, number
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


def draw(results: Sequence[Result], path: Path) -> bool:
    """Draw one panel for each of the cases encoder, decode and long_audio there is.

    Args:
        results: Results of any cases; of each the first is drawn, of decode the last.
        path: The picture.

    Returns:
        Whether there was anything to draw.
    """
    panels = {"encoder": _encoder, "decode": _decode, "long_audio": _long_audio}
    chosen = {}
    for result in results:
        if result.case == "decode":  # the last one has the most tokens to find
            chosen["decode"] = result
        elif result.case in panels:
            chosen.setdefault(result.case, result)
    if not chosen:
        return False
    figure = new_figure(4.6 * len(chosen), 3.8)
    for axes, case in zip(
        figure.subplots(1, len(chosen), squeeze=False)[0],
        (case for case in panels if case in chosen),
    ):
        tidy(axes)
        panels[case](axes, chosen[case])
    save_png(figure, path)
    return True


def _encoder(axes, result: Result) -> None:
    """Speed-up against the share of frames kept, one line for each length."""
    lengths = list(dict.fromkeys(row["audio"] for row in result.rows))
    for length, colour in zip(lengths, (GREY, BLUE, GREEN, ORANGE)):
        rows = [row for row in result.rows if row["audio"] == length]
        dense = [row for row in rows if row["encoder"] == "dense"]
        rows = [row for row in rows if row["kept"]]
        kept = [number(row["kept"]) for row in rows]
        speed = [number(row["speed-up"]) for row in rows]
        axes.plot(kept, speed, "o-", color=colour, markersize=4, label=length)
        for row in dense:
            axes.plot(100, number(row["speed-up"]), "D", color=colour, markersize=5)
    axes.axhline(1, color=INK, linewidth=0.8)
    axes.set_xlabel("frames kept [%]   (diamond: no gate)")
    axes.set_ylabel("times as fast as ESPnet's encoder")
    axes.set_ylim(0, 1.1 * max(axes.get_ylim()))
    axes.grid(**STYLE_GRID)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, title="audio")
    axes.set_title(_size(result), fontsize=10, color=INK)


def _size(result: Result) -> str:
    """The part of the line about a result that names the encoder."""
    return "Encoder + greedy, " + result.about.split("; ")[1].split(",")[0]


def _decode(axes, result: Result) -> None:
    """Real-time factor of every way to decode."""
    names = [row["decoding"] for row in result.rows]
    factors = [number(row["RTF"]) for row in result.rows]
    colours = [BLUE if name.startswith("ours") else GREY for name in names]
    axes.barh(names, factors, color=colours)
    axes.set_xlim(0, 1.6 * max(factors))
    axes.invert_yaxis()
    for y, row in enumerate(result.rows):
        text = f" {row['speed-up']}, WER {row['WER %']} %"
        axes.text(number(row["RTF"]), y, text, va="center", fontsize=8, color=INK)
    axes.set_xlabel("real-time factor")
    axes.set_title("Waveform to text", fontsize=10, color=INK)


def _long_audio(axes, result: Result) -> None:
    """Real-time factor and memory against those of one minute."""
    minutes = [_minutes(row["audio"]) for row in result.rows]
    for column, label, colour in (
        ("against 1 min", "real-time factor", BLUE),
        ("of 1 min", "peak memory", ORANGE),
    ):
        values = [number(row[column]) for row in result.rows]
        axes.plot(minutes, values, "o-", color=colour, label=label)
    axes.axhline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(minutes, [row["audio"] for row in result.rows])
    axes.set_ylim(0, 1.1 * max(axes.get_ylim()))
    axes.set_ylabel("against one minute of audio")
    axes.grid(**STYLE_GRID)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title("Long audio", fontsize=10, color=INK)


def _minutes(cell: str) -> float:
    value, unit = cell.split()
    return float(value) / (60 if unit == "s" else 1)
