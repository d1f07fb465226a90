"""One utterance: its sound, what was recognized, and how deep each frame ran."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.decoding.time_stamps import FrameClock
from espnet_blankskip.pictures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    STYLE_GRID,
    new_figure,
    save_png,
    tidy,
)


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
        blank_threshold: Threshold of the gate; None without one.
        begin: Second of the recording at which the samples begin.
        of_words: Write words above the frames, instead of tokens.
    """

    utt_id: str
    samples: np.ndarray
    sample_rate: int
    result: Recognition
    clock: Optional[FrameClock]
    gate_layers: List[int]
    num_layers: int
    blank_threshold: Optional[float]
    begin: float = 0.0
    of_words: bool = False

    @property
    def labels(self) -> List[Tuple[str, Tuple[float, float]]]:
        """What to write, and its first and last second in the samples."""
        if self.of_words:
            return [(word.text, (word.start, word.end)) for word in self.result.words]
        # Sentence pieces begin with a mark for the space before them.
        tokens = [token.replace("\u2581", "_") for token in self.result.token]
        return list(zip(tokens, self.result.times))


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
    handles = [Patch(color=ORANGE, label=f"kept: all {picture.num_layers} layers")]
    if picture.gate_layers:
        after = ", ".join(map(str, picture.gate_layers))
        handles.append(Patch(color=GREY, label=f"skipped after layer {after}"))
    depth.legend(
        handles=handles,
        frameon=False,
        fontsize=9,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        borderaxespad=0.2,
    )

    if result.blank_prob is None:
        about = "no gate was read: every frame runs through every layer"
    else:
        centres = [(a + b) / 2 for a, b in zip(edges[:-1], edges[1:])]
        blank.plot(centres, result.blank_prob, color=BLUE, linewidth=1.3)
        blank.fill_between(centres, result.blank_prob, color=BLUE, alpha=0.12)
        blank.axhline(picture.blank_threshold, color=INK, linestyle="--", linewidth=1)
        about = f"at the gate; dashed: threshold {picture.blank_threshold:g}"
    blank.set_ylim(0, 1.08)
    blank.set_yticks([0, 0.5, 1])
    blank.set_ylabel("blank\nprobability")
    blank.set_title(about, loc="left", fontsize=9, color=INK, pad=3)
    blank.set_xlabel("time [s]")
    blank.set_xlim(0, seconds)
    blank.xaxis.set_major_formatter(lambda x, _: f"{x + picture.begin:g}")
    for panel in (depth, blank):
        tidy(panel)
        panel.grid(axis="y", **STYLE_GRID)
        panel.set_axisbelow(True)
    _write_labels(figure, words, picture, seconds)
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


def _write_labels(figure, axes, picture: DepthPicture, seconds: float) -> None:
    """Write every token or word above the frames it came from, on free lines."""
    axes.set_ylabel("words" if picture.of_words else "tokens", color=INK)
    axes.set_yticks([])
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(bottom=False)
    figure.canvas.draw()  # fixes the scale that text widths are measured in
    renderer = figure.canvas.get_renderer()
    pixels = axes.get_window_extent(renderer).width
    per_pixel = seconds / pixels
    free_from: List[float] = []  # right end of the text on each line, in seconds
    placed = []
    for label, (start, end) in picture.labels:
        text = axes.text(0, 0, label, fontsize=10)
        width = (text.get_window_extent(renderer).width + 6) * per_pixel
        text.remove()
        left = min(max(0.0, (start + end - width) / 2), seconds - width)
        line = next((i for i, x in enumerate(free_from) if x <= left), len(free_from))
        free_from[line : line + 1] = [left + width]
        placed.append((label, left + width / 2, line, start, end))
    lines = max(1, len(free_from))
    axes.set_ylim(0, lines + 0.5)
    for label, centre, line, start, end in placed:
        frames = [start, min(end, seconds)]
        axes.plot(
            frames, [0.08, 0.08], color=ORANGE, linewidth=4, solid_capstyle="butt"
        )
        axes.text(
            centre,
            line + 0.55,
            label,
            ha="center",
            va="center",
            fontsize=10 if lines <= 3 else 8,
            color=INK,
        )
