"""The two pictures of a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from espnet_blankskip.decoding.time_stamps import FrameClock
from espnet_blankskip.picture_style import (
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
from espnet_blankskip.recognition import Recognition


@dataclass(frozen=True)
class SweepPoint:
    """Measurements at one threshold; `wer` and `kept` in percent."""

    threshold: float
    wer: float
    kept: float
    speed_up: float


@dataclass(frozen=True)
class DepthPicture:
    """What the depth picture shows of one utterance.

    Args:
        utt_id: Its id.
        samples: Audio (S,).
        sample_rate: In Hz.
        result: Its recognition, in mode skipping.
        clock: Seconds of encoder frames; None spreads them evenly.
        gate_layers: Layers with a gate.
        num_layers: Layers of the encoder.
        blank_threshold: Threshold of the gate.
    """

    utt_id: str
    samples: np.ndarray
    sample_rate: int
    result: Recognition
    clock: Optional[FrameClock]
    gate_layers: List[int]
    num_layers: int
    blank_threshold: float


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


def draw_depth(picture: DepthPicture, path: Path) -> None:
    """Draw spectrogram, tokens, depth and blank probability on one time axis.

    Args:
        picture: What to show.
        path: PNG to write.
    """
    save_png(depth_figure(picture), path)


def depth_figure(picture: DepthPicture) -> Figure:
    """Return the figure that `draw_depth` writes."""
    result = picture.result
    seconds = len(picture.samples) / picture.sample_rate
    clock = picture.clock or FrameClock(seconds / len(result.depth), 0.0)
    figure = new_figure(10.0, 6.6)
    axes = figure.subplots(
        4, 1, sharex=True, gridspec_kw=dict(height_ratios=[3.0, 0.9, 2.2, 1.5])
    )
    sound, words, depth, blank = axes
    _spectrogram(sound, picture)
    sound.set_title(
        f"{picture.utt_id}: {100 * result.kept_ratio:.0f} % of {len(result.depth)} "
        f"frames run through all {picture.num_layers} layers",
        loc="left",
        fontsize=11,
        color=INK,
    )

    edges = [clock.start(0)] + [clock.end(t) for t in range(len(result.depth))]
    colours = [ORANGE if d == picture.num_layers else GREY for d in result.depth]
    depth.bar(
        edges[:-1], result.depth, width=np.diff(edges), align="edge", color=colours
    )
    depth.set_yticks([0, *picture.gate_layers, picture.num_layers])
    depth.set_ylim(0, picture.num_layers * 1.04)
    depth.set_ylabel("encoder layers\nrun")
    depth.legend(
        handles=[
            Patch(color=ORANGE, label=f"kept: all {picture.num_layers} layers"),
            Patch(
                color=GREY,
                label="skipped after layer "
                + ", ".join(str(g) for g in picture.gate_layers),
            ),
        ],
        frameon=False,
        fontsize=9,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        borderaxespad=0.2,
    )

    if result.blank_prob is not None:
        centres = [(a + b) / 2 for a, b in zip(edges[:-1], edges[1:])]
        blank.plot(centres, result.blank_prob, color=BLUE, linewidth=1.3)
        blank.fill_between(centres, result.blank_prob, color=BLUE, alpha=0.12)
    blank.axhline(picture.blank_threshold, color=INK, linestyle="--", linewidth=1)
    blank.set_ylim(0, 1.08)
    blank.set_yticks([0, 0.5, 1])
    blank.set_ylabel("blank\nprobability")
    blank.set_title(
        f"at the gate; dashed: threshold {picture.blank_threshold:g}",
        loc="left",
        fontsize=9,
        color=INK,
        pad=3,
    )
    blank.set_xlabel("time [s]")
    blank.set_xlim(0, seconds)
    for panel in (depth, blank):
        tidy(panel)
        panel.grid(axis="y", **STYLE_GRID)
        panel.set_axisbelow(True)
    _write_tokens(figure, words, result, seconds)
    figure.align_ylabels(axes)
    return figure


def _spectrogram(axes, picture: DepthPicture) -> None:
    """Draw level in dB over time and frequency, 25 ms windows every 5 ms."""
    width = int(0.025 * picture.sample_rate)
    hop = max(1, int(0.005 * picture.sample_rate))
    padded = np.pad(picture.samples, width // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(width), 512)) ** 2
    level = 10 * np.log10(power + 1e-10)
    top = level.max()
    axes.imshow(
        level.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - 70,
        vmax=top,
        extent=(
            -0.5 * hop / picture.sample_rate,
            (len(level) - 0.5) * hop / picture.sample_rate,
            0,
            picture.sample_rate / 2000,
        ),
    )
    axes.set_ylabel("frequency [kHz]")


def _write_tokens(figure, axes, result: Recognition, seconds: float) -> None:
    """Write every token above the frames it came from, on free lines."""
    axes.set_ylabel("tokens", color=INK)
    axes.set_yticks([])
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(bottom=False)
    figure.canvas.draw()  # fixes the scale that text widths are measured in
    renderer = figure.canvas.get_renderer()
    pixels = axes.get_window_extent(renderer).width
    per_pixel = seconds / pixels
    # Sentence pieces begin with a mark for the space before them.
    tokens = [token.replace("\u2581", "_") for token in result.token]
    free_from: List[float] = []  # right end of the text on each line, in seconds
    placed = []
    for token, (start, end) in zip(tokens, result.times):
        text = axes.text(0, 0, token, fontsize=10)
        width = (text.get_window_extent(renderer).width + 6) * per_pixel
        text.remove()
        left = min(max(0.0, (start + end - width) / 2), seconds - width)
        line = next((i for i, x in enumerate(free_from) if x <= left), len(free_from))
        free_from[line : line + 1] = [left + width]
        placed.append((token, left + width / 2, line, start, end))
    lines = max(1, len(free_from))
    axes.set_ylim(0, lines + 0.5)
    for token, centre, line, start, end in placed:
        frames = [start, min(end, seconds)]
        axes.plot(
            frames, [0.08, 0.08], color=ORANGE, linewidth=4, solid_capstyle="butt"
        )
        axes.text(
            centre,
            line + 0.55,
            token,
            ha="center",
            va="center",
            fontsize=10 if lines <= 3 else 8,
            color=INK,
        )


def _spread(threshold: float) -> float:
    return -np.log10(max(1e-6, 1.0 - threshold))
