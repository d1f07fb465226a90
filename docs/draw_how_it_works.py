"""Draw docs/how_it_works.png: which frames run through which layers.

Usage: python docs/draw_how_it_works.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch, Rectangle

TOKENS = {4: "one", 10: "two", 17: "three"}
KEPT_COLOUR, SKIPPED_COLOUR, STAGE1_COLOUR = "#0072B2", "#D9D9D9", "#56B4E9"
LAYERS, GATE, EXTENSION = 12, 6, 1


def main() -> None:
    spikes = list(TOKENS)
    frames = range(24)
    kept = {t for t in frames if any(abs(t - s) <= EXTENSION for s in spikes)}
    figure, axis = plt.subplots(figsize=(9.6, 5.2))
    for t in frames:
        for layer in range(LAYERS):
            if layer < GATE:
                colour, edge = STAGE1_COLOUR, "white"
            elif t in kept:
                colour, edge = KEPT_COLOUR, "white"
            else:
                colour, edge = "white", SKIPPED_COLOUR
            y = layer + (1.15 if layer >= GATE else 0)
            axis.add_patch(
                Rectangle((t, y), 0.92, 0.86, facecolor=colour, edgecolor=edge, lw=0.6)
            )
    axis.add_patch(
        FancyBboxPatch(
            (-0.1, GATE + 0.05),
            24.1,
            0.85,
            boxstyle="round,pad=0.02,rounding_size=0.15",
            facecolor="#F5E6C8",
            edgecolor="#E69F00",
        )
    )
    axis.text(
        12,
        GATE + 0.47,
        "gate: intermediate CTC after layer 6 — P(blank) ≥ 0.95 leaves",
        ha="center",
        va="center",
        fontsize=10,
    )
    top = LAYERS + 1.15
    for t, word in TOKENS.items():
        axis.text(t + 0.46, top + 0.25, word, ha="center", va="bottom", fontsize=11)
    axis.annotate(
        "", xy=(24, -0.45), xytext=(0, -0.45), arrowprops={"arrowstyle": "->"}
    )
    axis.text(12, -0.75, "time (encoder frames, 40 ms)", ha="center", va="top")
    axis.text(
        24.4, GATE / 2, "stage 1:\nlayers 1–6,\nall frames", va="center", fontsize=10
    )
    axis.text(
        24.4,
        GATE + 1.15 + (LAYERS - GATE) / 2,
        "stage 2:\nlayers 7–12,\nkept frames at\ntheir true positions.\n\n"
        "Empty: skipped;\nthe convolution\nstill sees their\nstage-1 state",
        va="center",
        fontsize=10,
    )
    axis.set_xlim(-0.3, 29.5)
    axis.set_ylim(-1.4, top + 1.1)
    axis.axis("off")
    figure.savefig(
        Path(__file__).with_name("how_it_works.png"), dpi=110, bbox_inches="tight"
    )


if __name__ == "__main__":
    main()
