"""ESPnet's self-attentions in 8 bits: scores from small integers, part by part.

Queries, keys and positions become 8 bits for their products; the weights that come of
the scores, and what they are weights of, stay float32. Of positions, a part of the
queries needs those distances alone that it is from the keys, which halves that work.
"""

from typing import Optional

import numpy as np
import torch

from espnet_blankskip.export.attention import (
    POSITIONS,
    Distances,
    for_positions,
    queries_keys_values,
)
from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import linear
from espnet_blankskip.export.packing import Axis
from espnet_blankskip.export.quantized import (
    LARGEST,
    Matrix,
    quantized,
    quantized_matrix,
)

PART_FRAMES = 64  # queries at a time


class DistancesIn8Bits(Distances):
    """The same in 8 bits, for a whole number of parts.

    Args:
        g: The graph.
        time: Frames of the utterance, (1,).
        width: D.
    """

    def __init__(self, g: Graph, time: Value, width: int):
        super().__init__(g, _parts(time) * PART_FRAMES, width)

    def matrix(self, linear_pos: torch.nn.Linear, heads: int) -> Matrix:
        """Project them for one attention: (H, d, 2T-1)."""
        g, weight = self.g, self._weight(linear_pos)
        known = self._known @ weight
        scale = np.float32(np.abs(known).max() / LARGEST)
        known = np.rint(known / scale).astype(np.int8)
        known = known.reshape(len(known), heads, -1).transpose(1, 2, 0)
        with g.enter(POSITIONS):

            def project(waves: Value) -> Value:
                rows = quantized(g, waves).product(weight, "linear_pos")
                zero = g.value(np.array(0, np.int8))
                rows = g.op("QuantizeLinear", rows, scale, zero)
                return self._by_head(rows, heads)

            left, right = project(self._left), project(self._right)
        return Matrix(self._joined(left, g.weight(known, "known"), right), scale)

    def scores(self, q: Value, attn: torch.nn.Module) -> Value:
        """Score all distances: (B, H, N, d) -> (B, H, N, 2T-1)."""
        return quantized(self.g, q).times(self.matrix(attn.linear_pos, attn.h))


def attend_in_parts(
    g: Graph,
    attn: torch.nn.Module,
    x: Value,
    axis: Axis,
    hidden: Value,
    distances: Optional[DistancesIn8Bits],
) -> Value:
    """Attend from every frame to every frame.

    Args:
        g: The graph.
        attn: ESPnet's module.
        x: (B*T, D).
        axis: The time axis.
        hidden: Added to the scores: (B, 1, 1, T).
        distances: For relative positions.

    Returns:
        (B*T, D).
    """
    relative = hasattr(attn, "linear_pos")
    q, k, v = queries_keys_values(g, attn, x, x, axis.batch, relative)
    k = quantized_matrix(g, k)
    if relative:
        table = distances.matrix(attn.linear_pos, attn.h)

    # behind the last frame, parts repeat it
    frames = g.range(_parts(axis.time) * PART_FRAMES).reshape(-1, PART_FRAMES)
    parts = q.take(g.op("Min", frames, axis.time - 1), axis=1)

    def attend(part: Value, numbers: Value) -> Value:
        part = part.transpose(0, 2, 1, 3)
        scores = quantized(g, part).times(k)
        if relative:
            # of the last query to the first frame, and so on to the last frame
            first = (distances.time - 1) - numbers.cut(0, PART_FRAMES - 1, PART_FRAMES)
            seen = axis.time + (PART_FRAMES - 1)
            near = Matrix(table.values.cut(2, first, first + seen), table.scale)
            near = quantized(g, for_positions(g, attn, part)).times(near)
            scores = scores + _shifted(near, axis, numbers, seen, attn.zero_triu)
        mixed = g.op("Softmax", scores + hidden, axis=-1) @ v
        return mixed.transpose(0, 2, 1, 3)

    mixed = g.for_each(attend, parts.transpose(1, 0, 2, 3, 4), frames)
    mixed = mixed.transpose(1, 0, 2, 3, 4).reshape(axis.batch, -1, attn.h * attn.d_k)
    mixed = mixed.cut(1, 0, axis.time).reshape(-1, attn.h * attn.d_k)
    return linear(g, attn.linear_out, mixed, "linear_out")


def _shifted(
    scores: Value, axis: Axis, numbers: Value, seen: Value, zero_triu: bool
) -> Value:
    """Scores by distance (B, H, N, N+T-1), the last query's largest first, by key.

    A score of the part's query i and key j stands in column N - 1 - i + j: in place
    N - 1 of the whole, and one column less a row.
    """
    shape = scores.size(0), scores.size(1)
    row = seen - 1
    flat = scores.reshape(*shape, -1)
    flat = flat.cut(2, PART_FRAMES - 1, row * PART_FRAMES + (PART_FRAMES - 1))
    scores = flat.reshape(*shape, PART_FRAMES, row).cut(3, 0, axis.time)
    if zero_triu:
        scores = scores.where(~(numbers.unsqueeze(1) < axis.numbers), 0.0)
    return scores


def _parts(time: Value) -> Value:
    return (time + (PART_FRAMES - 1)) / PART_FRAMES
