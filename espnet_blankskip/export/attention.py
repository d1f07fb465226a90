"""ESPnet's self-attentions in a graph, at true positions.

Scores of relative positions need the projected encoding of every distance that an
utterance holds. That of distances below ``TABLE_FRAMES`` frames depends on weights
alone, so runtimes compute it once, when they load the file; longer utterances add the
rest by themselves.
"""

import math
from typing import Optional, Tuple

import numpy as np
import torch

from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import (
    CannotExport,
    affine,
    array,
    layer_norm,
    linear,
)
from espnet_blankskip.upstream import (
    LegacyRelPositionMultiHeadedAttention,
    MultiHeadedAttention,
    RelPositionMultiHeadedAttention,
)

TABLE_FRAMES = 750  # half a minute of 40 ms frames
HIDDEN = -1e9  # added to the score of a key that is not to be seen
POSITIONS = "positions"  # scope of what a runtime computes when it loads the file


class Distances:
    """Encoding of all distances below T frames, T - 1 frames to the left first.

    Args:
        g: The graph.
        time: T, (1,): the frames of the utterance, or more.
        width: D.
    """

    def __init__(self, g: Graph, time: Value, width: int):
        self.g, self.time, self.width = g, time, width
        self._frequencies = np.exp(np.arange(0, width, 2) * -(math.log(1e4) / width))
        known = np.arange(TABLE_FRAMES - 1, -TABLE_FRAMES, -1)
        angles = known[:, None] * self._frequencies
        self._known = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        # none at all in utterances that the table is long enough for
        extra = g.op("Max", time - TABLE_FRAMES, 0)
        beyond = g.range(extra)
        self._left = self._waves((time - 1) - beyond)
        self._right = self._waves(g.op("Neg", beyond + TABLE_FRAMES))
        first = g.op("Max", g.op("Neg", time) + TABLE_FRAMES, 0)
        self._first, self._last = first, (2 * TABLE_FRAMES - 1) + g.op("Neg", first)

    def projected(self, linear_pos: torch.nn.Linear, heads: int) -> Value:
        """Project them for one attention: (H, d, 2T-1)."""
        weight = self._weight(linear_pos)
        with self.g.enter(POSITIONS):
            matrix = self.g.weight(weight, "linear_pos.weight")

            def project(waves):
                return self._by_head(waves @ matrix, heads)

            known = project(self.g.value(self._known))
            left, right = project(self._left), project(self._right)
        return self._joined(left, known, right)

    def scores(self, q: Value, attn: torch.nn.Module) -> Value:
        """Score all distances: (B, H, N, d) -> (B, H, N, 2T-1)."""
        return q @ self.projected(attn.linear_pos, attn.h)

    def _weight(self, linear_pos: torch.nn.Linear) -> np.ndarray:
        # ESPnet's encoding has sine and cosine in turn, this one all sines first
        weight = array(linear_pos.weight).T
        return np.concatenate([weight[0::2], weight[1::2]])

    def _by_head(self, rows: Value, heads: int) -> Value:
        return rows.reshape(-1, heads, self.width // heads).transpose(1, 2, 0)

    def _joined(self, left: Value, known: Value, right: Value) -> Value:
        known = known.cut(2, self._first, self._last)
        return self.g.concat(left, known, right, axis=2)

    def _waves(self, distances: Value) -> Value:
        angles = distances.as_float().unsqueeze(1) * self._frequencies
        return self.g.concat(self.g.op("Sin", angles), self.g.op("Cos", angles), axis=1)


def check_attention(attn: torch.nn.Module) -> None:
    """Refuse attentions of other kinds.

    Raises:
        CannotExport: naming it.
    """
    known = (MultiHeadedAttention, RelPositionMultiHeadedAttention)
    if isinstance(attn, LegacyRelPositionMultiHeadedAttention):
        raise CannotExport(
            "rel_pos_type=legacy cannot be exported (its positions depend on the "
            "length of a table in memory); rel_pos_type=latest can"
        )
    if not isinstance(attn, known) or getattr(attn, "causal", False):
        raise CannotExport(
            f"attention {type(attn).__name__} cannot be exported; selfattn and "
            "rel_selfattn (rel_pos_type=latest) can"
        )


def attend(
    g: Graph,
    attn: torch.nn.Module,
    x: Value,
    keys: Value,
    batch: Value,
    hidden: Value,
    position_scores=None,
) -> Value:
    """Attend from every x to every key.

    Args:
        g: The graph.
        attn: ESPnet's module.
        x: (B*N, D).
        keys: (B*M, D), also the values.
        batch: B, (1,).
        hidden: Added to the scores: (B, 1, 1, M).
        position_scores: From queries (B, H, N, d) and the module to scores
            (B, H, N, M); None where positions do not matter.

    Returns:
        (B*N, D).
    """
    q, k, v = queries_keys_values(g, attn, x, keys, batch, position_scores is not None)
    q = q.transpose(0, 2, 1, 3)
    scores = q @ k
    if position_scores is not None:
        scores = scores + position_scores(for_positions(g, attn, q), attn)
    weights = g.op("Softmax", scores + hidden, axis=-1)
    mixed = (weights @ v).transpose(0, 2, 1, 3).reshape(-1, attn.h * attn.d_k)
    return linear(g, attn.linear_out, mixed, "linear_out")


def queries_keys_values(
    g: Graph, attn: torch.nn.Module, x: Value, keys: Value, batch: Value, relative: bool
) -> Tuple[Value, Value, Value]:
    """Project rows to queries (B, N, H, d), keys (B, H, d, M), values (B, H, M, d).

    Queries are scaled and, with relative positions, hold the bias for the keys.
    """
    heads, size = attn.h, attn.d_k
    scale = 1 / math.sqrt(size)
    q_norm, k_norm = (_norm_or_none(n) for n in (attn.q_norm, attn.k_norm))

    def split(rows: Value) -> Value:
        return rows.reshape(batch, -1, heads, size)

    bias = array(attn.linear_q.bias)
    if relative:
        bias = bias + array(attn.pos_bias_u).reshape(-1)
    if q_norm is None:
        weight = scale * array(attn.linear_q.weight)
        q = split(affine(g, weight, scale * bias, x, "linear_q"))
    else:
        q = split(linear(g, attn.linear_q, x, "linear_q"))
        q = layer_norm(g, q_norm, q, scale)
    k = split(linear(g, attn.linear_k, keys, "linear_k"))
    k = k if k_norm is None else layer_norm(g, k_norm, k)
    v = split(linear(g, attn.linear_v, keys, "linear_v"))
    return q, k.transpose(0, 2, 3, 1), v.transpose(0, 2, 1, 3)


def for_positions(g: Graph, attn: torch.nn.Module, q: Value) -> Value:
    """Queries with the bias for positions in place of the one for keys."""
    difference = array(attn.pos_bias_v) - array(attn.pos_bias_u)
    scale = 1 / math.sqrt(attn.d_k)
    return q + g.weight(scale * difference[:, None], "v - u")


def scores_of_all(
    g: Graph, distances: Distances, axis, q: Value, attn: torch.nn.Module
) -> Value:
    """Position scores between all frames: (B, H, T, d) -> (B, H, T, T).

    A score of query i and key j stands in column T - 1 - i + j. With rows of one
    column more, that is place T - 1 of the whole and one column less a row.
    """
    time, heads = distances.time, attn.h
    table = distances.projected(attn.linear_pos, heads)
    table = g.op("Pad", table, [0, 0, 0, 0, 0, 1])
    flat = (q @ table).reshape(axis.batch, heads, -1)
    start, row = time - 1, time * 2 - 1
    flat = flat.cut(2, start, start + time * row)
    scores = flat.reshape(axis.batch, heads, time, row).cut(3, 0, time)
    if attn.zero_triu:
        left = axis.numbers.unsqueeze(2) - axis.numbers.unsqueeze(1)
        scores = scores.where(~(left < 0), 0.0)
    return scores


def scores_at(
    g: Graph, distances: Distances, left: Value, row: Value, q: Value, attn
) -> Value:
    """Position scores of chosen frames: (B, H, N, d) -> (B, H, N, M).

    Args:
        g: The graph.
        distances: Those of the utterance.
        left: Frames from key to query, positive to the left: (B, 1, N, M).
        row: Row of the table for each query and key, by head: (B, H, N, M).
        q: The queries.
        attn: The attention.
    """
    scores = g.op("GatherElements", distances.scores(q, attn), row, axis=3)
    return scores.where(~(left < 0), 0.0) if attn.zero_triu else scores


def _norm_or_none(norm: torch.nn.Module) -> Optional[torch.nn.LayerNorm]:
    return None if isinstance(norm, torch.nn.Identity) else norm
