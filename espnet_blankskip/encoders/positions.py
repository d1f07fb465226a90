"""Projected relative positions, remembered between utterances."""

import torch
from torch import Tensor

from espnet_blankskip.acceleration.derived import Derived
from espnet_blankskip.acceleration.relative_attention import MAX_FRAMES


class PositionTables:
    """Remembers each layer's projected positional encoding.

    ``linear_pos(pos_emb)`` depends on the weights and on nothing that was said, and
    on kept frames it would cost about a third of a layer. Only in inference: where
    gradients are recorded, or the encoding has passed a dropout, or the projection
    has no parameters to watch (as when quantized), it is computed anew.
    """

    def __init__(self):
        self._tables = Derived()

    def forget(self) -> None:
        """Project anew when next asked to."""
        self._tables.forget()

    def project(self, linear: torch.nn.Linear, pos_emb: Tensor) -> Tensor:
        """Project the encoding of all distances between T frames.

        Args:
            linear: the attention's ``linear_pos``.
            pos_emb: (1, 2T-1, D), distance T-1 first.

        Returns:
            (2T-1, D).
        """
        rows, sources = pos_emb.size(1), tuple(linear.parameters())
        passing = torch.is_grad_enabled() or linear.training or not sources
        if passing or rows > 2 * MAX_FRAMES:
            return linear(pos_emb)[0]
        table = self._tables.get(
            (id(linear), pos_emb.dtype, pos_emb.device),
            sources,
            lambda: linear(pos_emb)[0],
            lambda known: known.size(0) >= rows,
        )
        start = (table.size(0) - rows) // 2
        return table[start : start + rows]
