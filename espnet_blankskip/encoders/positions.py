"""Projected relative positions, remembered between utterances."""

from typing import Dict, Tuple

import torch
from torch import Tensor

MAX_FRAMES = 1500  # a minute of 40 ms frames; longer tables are not worth their memory


class PositionTables:
    """Remembers each layer's projected positional encoding.

    ``linear_pos(pos_emb)`` depends on the weights and on nothing that was said, and
    on kept frames it would cost about a third of a layer. Only in inference: where
    gradients are recorded, or the encoding has passed a dropout, it is computed anew.
    """

    def __init__(self):
        self._tables: Dict[int, Tuple[tuple, Tensor]] = {}

    def project(self, linear: torch.nn.Linear, pos_emb: Tensor) -> Tensor:
        """Project the encoding of all distances between T frames.

        Args:
            linear: the attention's ``linear_pos``.
            pos_emb: (1, 2T-1, D), distance T-1 first.

        Returns:
            (2T-1, D).
        """
        rows = pos_emb.size(1)
        if torch.is_grad_enabled() or linear.training or rows > 2 * MAX_FRAMES:
            return linear(pos_emb)[0]
        weight = linear.weight
        state = (weight.data_ptr(), weight._version, pos_emb.dtype, pos_emb.device)
        known, table = self._tables.get(id(linear), (None, None))
        if known != state or table.size(0) < rows:
            table = linear(pos_emb)[0]
            self._tables[id(linear)] = (state, table)
        start = (table.size(0) - rows) // 2
        return table[start : start + rows]
