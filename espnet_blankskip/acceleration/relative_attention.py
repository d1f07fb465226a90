"""Attention at relative positions, whose projected table is remembered.

Equation of Dai et al. 2019 (arXiv 1901.02860), section 3.3. ESPnet scores every
query against every row of the table, then shifts the rows of the result against each
other by copying it twice; a view with other strides is the same shift.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.acceleration.attention import Attending, Bias
from espnet_blankskip.upstream import (
    LegacyRelPositionMultiHeadedAttention,
    RelPositionMultiHeadedAttention,
)

MAX_FRAMES = 1500  # a minute of 40 ms frames; longer tables are not worth their memory


class _RelativeAttention(Attending):
    """What ESPnet's relative attentions share; they differ in their tables."""

    def forward(self, query, key, value, pos_emb, mask) -> Tensor:
        """Attend at relative positions; as ESPnet's.

        Args:
            query, key, value: the same (B, T, D).
            pos_emb: (1, 2T-1, D); in the legacy form (1, T, D).
            mask: (B, 1, T) or (B, T, T), 0 where a key is not to be seen; or None.
        """
        if not self.applies(query) or not query is key is value:
            return super().forward(query, key, value, pos_emb, mask)
        table = self.position_table(pos_emb, self.dtype_for(query))
        return self.attend(query, key, mask, self.bias_of_all(table))

    def bias_of_all(self, table: Tensor) -> Bias:
        """Position scores between all frames, from a table (H, rows, d)."""
        raise TypeError(f"{type(self).__name__} does not know the form of its table")

    def position_table(self, pos_emb: Tensor, dtype: torch.dtype) -> Tensor:
        """Project the encoding of positions: (1, rows, D) -> (H, rows, d)."""
        raise TypeError(f"{type(self).__name__} does not know the form of its table")

    def query_bias(self) -> Tensor:
        """What is added to the projected queries of the content term: (D,)."""
        return self.linear_q.bias + self.pos_bias_u.flatten()

    def query_parameters(self):
        """Parameters that the queries depend on."""
        return (*super().query_parameters(), self.pos_bias_u)

    def for_positions(self, q: Tensor) -> Tensor:
        """Queries (B, H, n, d) of the content term -> those of the position term."""
        u, v = self.pos_bias_u, self.pos_bias_v

        def difference():
            return ((v - u) / math.sqrt(self.d_k)).to(q.dtype).unsqueeze(1)

        return q + self.derived.get(("v - u", q.dtype), (u, v), difference)

    def _remembered(self, pos_emb: Tensor, dtype: torch.dtype, sources) -> Tensor:
        """Table of at least as many rows as asked for: (H, rows or more, d)."""
        rows = pos_emb.size(1)

        def project():
            table = self.linear_pos(pos_emb).to(dtype)
            return table.view(rows, self.h, self.d_k).transpose(0, 1).contiguous()

        if rows > 2 * MAX_FRAMES:
            return project()
        name = ("positions", pos_emb.dtype, pos_emb.device, dtype)
        return self.derived.get(
            name,
            (self.linear_pos.weight, *sources),
            project,
            lambda t: rows <= t.size(1),
        )


class AcceleratedRelAttention(_RelativeAttention, RelPositionMultiHeadedAttention):
    """Relative attention of ``rel_pos_type: latest``: row T-1-d is d to the left."""

    def position_table(self, pos_emb: Tensor, dtype: torch.dtype) -> Tensor:
        """Project (1, 2T-1, D) -> (H, 2T-1, d), distance T-1 first."""
        table = self._remembered(pos_emb, dtype, ())
        start = (table.size(1) - pos_emb.size(1)) // 2
        return table[:, start : start + pos_emb.size(1)]

    def bias_of_all(self, table: Tensor) -> Bias:
        """Position scores between all T frames."""
        frames = (table.size(1) + 1) // 2

        def bias(q: Tensor, start: int, stop: int) -> Tensor:
            count = stop - start
            rows = frames + count - 1  # distances between these queries and any key
            near = table[:, frames - stop : frames - stop + rows].transpose(1, 2)
            scores = torch.matmul(self.for_positions(q[:, :, start:stop]), near)
            scores = scores.contiguous()
            # score of query i and key j stands in column count-1-i+j
            return scores.as_strided(
                (*scores.shape[:3], frames),
                (*scores.stride()[:2], rows - 1, 1),
                scores.storage_offset() + count - 1,
            )

        return bias

    def bias_at(self, table: Tensor, row: Tensor) -> Bias:
        """Position scores of chosen queries and keys.

        Args:
            table: (H, 2T-1, d).
            row: (B, 1, N, M) long, row of the table for each query and key.
        """

        def bias(q: Tensor, start: int, stop: int) -> Tensor:
            rows = row[:, :, start:stop]
            near = table
            if table.device.type == "cpu":  # elsewhere, asking would cost more
                first, last = (int(r) for r in rows.aminmax())
                near, rows = table[:, first : last + 1], rows - first
            q = self.for_positions(q[:, :, start:stop])
            scores = torch.matmul(q, near.transpose(1, 2))
            return scores.gather(-1, rows.expand(-1, q.size(1), -1, -1))

        return bias


class AcceleratedLegacyRelAttention(
    _RelativeAttention, LegacyRelPositionMultiHeadedAttention
):
    """Relative attention of ``rel_pos_type: legacy``, quirks and all."""

    def position_table(self, pos_emb: Tensor, dtype: torch.dtype) -> Tensor:
        """Project (1, T, D) -> (H, T, d)."""
        # what a row means depends on the length of ESPnet's own table
        table = self._remembered(pos_emb, dtype, (pos_emb,))
        return table[:, : pos_emb.size(1)]

    def bias_of_all(self, table: Tensor) -> Bias:
        """Position scores between all T frames.

        ESPnet pads the scores (T, T) with a column of zeros in front and reads the
        result row by row from place T on; to the right of a query that gives scores
        of the next query.
        """
        frames = table.size(1)
        rows = table.transpose(1, 2)

        def bias(q: Tensor, start: int, stop: int) -> Tensor:
            queries = self.for_positions(q[:, :, start : stop + 1])
            scores = F.pad(torch.matmul(queries, rows), (1, 0))
            return scores.as_strided(
                (*scores.shape[:2], stop - start, frames),
                (*scores.stride()[:2], frames, 1),
                scores.storage_offset() + frames - start,
            )

        return bias
