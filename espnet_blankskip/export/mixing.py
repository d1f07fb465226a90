"""How frames see each other in a graph: attention and depthwise convolution.

Beside `espnet_blankskip.encoders.mixing`, whose two classes these mirror: one for
layers that run on all frames, one for those that run on kept frames. States are rows.
"""

from functools import partial
from typing import Callable, Optional

import numpy as np
import torch

from espnet_blankskip.export.attention import (
    HIDDEN,
    Distances,
    attend,
    scores_at,
    scores_of_all,
)
from espnet_blankskip.export.attention_in_8_bits import attend_in_parts
from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import array
from espnet_blankskip.export.packing import Axis, PackedFrames, widen

Prepare = Callable[[Value], Value]


class AllFrames:
    """Every frame of a padded batch runs.

    Args:
        axis: The time axis.
        valid: (B, T) bool, False on padding.
        distances: For relative positions, or None.

    Attributes:
        real: Which of its rows are frames, and not padding: (B, T) bool.
    """

    def __init__(self, axis: Axis, valid: Value, distances: Optional[Distances]):
        self.g, self.axis, self.distances = axis.g, axis, distances
        self.real = valid
        self._hidden = _hiding(self.g, valid)
        self._valid = valid.reshape(-1, 1)

    def full(self, x: Value, base: Optional[Value]) -> Value:
        """Rows of all frames, of which ``x`` are those that run: (B*T, ...)."""
        return x

    def attention(self, attn: torch.nn.Module, x: Value, prepare: Prepare) -> Value:
        """Self-attention: prepared rows (B*T, D) -> (B*T, D)."""
        g, axis, scores = self.g, self.axis, None
        if g.int8:
            return attend_in_parts(g, attn, x, axis, self._hidden, self.distances)
        if hasattr(attn, "linear_pos"):
            scores = partial(scores_of_all, g, self.distances, axis)
        return attend(g, attn, x, x, axis.batch, self._hidden, scores)

    def depthwise(
        self, conv: torch.nn.Conv1d, x: Value, project=None, norm=None
    ) -> Value:
        """Depthwise convolution over time, then batch norm: (B*T, C) both ways."""
        x = x.where(self._valid, 0.0)
        return _depthwise(self.g, self.axis.batch, conv, norm, x)


class KeptFrames:
    """Only kept frames run; the others stay at their last state.

    Args:
        axis: The time axis.
        valid: (B, T) bool, False on padding.
        running: The kept frames (B, T) bool.
        stale: Last states of all frames (B*T, D); read at skipped frames.
        distances: For relative positions, or None.
        heads: Of the attentions.
        conv_context: "stale", "zero" or "packed".
        attn_context: "kept" or "all".
        conv_radius: Frames that the convolution reaches on each side.

    Attributes:
        frames: The kept frames.
        real: Which of the rows are frames, and not padding: (B, N) bool.
    """

    def __init__(
        self,
        axis: Axis,
        valid: Value,
        running: Value,
        stale: Value,
        distances: Optional[Distances],
        heads: int,
        conv_context: str,
        attn_context: str,
        conv_radius: int,
    ):
        g = self.g = axis.g
        self.axis, self.distances = axis, distances
        self.frames = PackedFrames(axis, running)
        self.real = self.frames.valid
        self._collapsed = conv_context == "packed"
        skipped = valid & ~running

        keys, key_valid = self.frames.index, self.frames.valid
        self._attn_stale = None
        if attn_context == "all":
            others = PackedFrames(axis, skipped)
            self._attn_stale = others.gather(stale)
            keys = g.concat(keys, others.index, axis=1)
            key_valid = g.concat(key_valid, others.valid, axis=1)
        self._hidden = _hiding(g, key_valid)
        if distances is not None:
            left = self.frames.index.unsqueeze(2) - keys.unsqueeze(1)
            self._left = left.unsqueeze(1)
            by_head = g.join(1, heads, 1, 1)
            row = (distances.time - 1) - self._left
            self._row = g.op("Expand", row, by_head)

        self._conv_stale = None
        nothing = axis.batch * self.frames.width  # the row after the kept ones
        self._kept_cells = self.frames.place.where(running, nothing)
        if conv_context == "stale" and conv_radius > 0:
            # a skipped frame that no kept frame can see need not be projected
            seen = widen(axis, running, g.value(np.array([conv_radius])))
            context = PackedFrames(axis, skipped & seen)
            self._conv_stale = context.gather(stale)
            after = nothing + axis.batch * context.width
            cells = (context.place + nothing).where(context.chosen, after)
            self._all_cells = self.frames.place.where(running, cells)

    def full(self, x: Value, base: Optional[Value]) -> Value:
        """Rows of all frames, of which ``x`` are those that run: (B*T, ...)."""
        return self.frames.scatter(x, base)

    def attention(self, attn: torch.nn.Module, x: Value, prepare: Prepare) -> Value:
        """Self-attention at true distances: prepared rows (B*N, D) -> (B*N, D)."""
        g, keys, scores = self.g, x, None
        if self._attn_stale is not None:
            parts = (x, prepare(self._attn_stale))
            width = attn.h * attn.d_k
            parts = (part.reshape(self.axis.batch, -1, width) for part in parts)
            keys = g.concat(*parts, axis=1).reshape(-1, width)
        if hasattr(attn, "linear_pos"):
            scores = partial(scores_at, g, self.distances, self._left, self._row)
        return attend(g, attn, x, keys, self.axis.batch, self._hidden, scores)

    def depthwise(
        self, conv: torch.nn.Conv1d, x: Value, project=None, norm=None
    ) -> Value:
        """Depthwise convolution on the true time axis, then batch norm.

        Args:
            conv: The layer's depthwise convolution.
            x: Its input at kept frames (B*N, C).
            project: Maps stale rows (M, D) to the same input (M, C); without it,
                skipped frames count as zeros.
            norm: Batch norm behind the convolution, or None.

        Returns:
            (B*N, C).
        """
        if self._collapsed:
            x = x.where(self.frames.valid.reshape(-1, 1), 0.0)
            return _depthwise(self.g, self.axis.batch, conv, norm, x)
        rows, cells = [x], self._kept_cells
        if self._conv_stale is not None and project is not None:
            rows.append(project(self._conv_stale))
            cells = self._all_cells
        rows.append(np.zeros((1, conv.in_channels), np.float32))
        grid = self.g.concat(*rows, axis=0).take(cells.reshape(-1))
        mixed = _depthwise(self.g, self.axis.batch, conv, norm, grid)
        return self.frames.gather(mixed)


def _hiding(g: Graph, valid: Value) -> Value:
    """What hides padding among keys: (B, M) bool -> (B, 1, 1, M)."""
    return g.op("Where", valid, 0.0, HIDDEN).unsqueeze(1).unsqueeze(1)


def _depthwise(g: Graph, batch: Value, conv, norm, x: Value) -> Value:
    """Depthwise convolution of rows: (B*T, C) -> (B*T, C).

    Two-dimensional, because that is the kind that runtimes have fast code for.
    """
    weight = array(conv.weight)
    bias = np.zeros(len(weight)) if conv.bias is None else array(conv.bias)
    if norm is not None:
        scale = array(norm.weight) / np.sqrt(array(norm.running_var) + norm.eps)
        weight = weight * scale[:, None, None]
        bias = array(norm.bias) + scale * (bias - array(norm.running_mean))
    channels, reach = conv.in_channels, conv.kernel_size[0] // 2
    image = x.reshape(batch, 1, -1, channels).transpose(0, 3, 1, 2)
    image = g.op(
        "Conv",
        image,
        g.weight(weight[:, :, None], "depthwise.weight"),
        g.weight(bias, "depthwise.bias"),
        group=channels,
        kernel_shape=[1, conv.kernel_size[0]],
        pads=[0, reach, 0, reach],
    )
    return image.transpose(0, 2, 3, 1).reshape(-1, channels)
