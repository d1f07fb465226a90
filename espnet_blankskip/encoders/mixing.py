"""How the frames that run see each other, and see the frames that do not.

Feed-forward layers and norms treat frames one by one; only attention, depthwise
convolution and batch statistics mix them. Those are the two classes here, one for
layers that run on all frames and one for layers that run on kept frames. Both work
on true positions: distances are differences of original frame numbers, and the
convolution sees true neighbours in time.
"""

import math
from typing import Callable, Optional

import torch
from torch import Tensor

from espnet_blankskip.gate import widen
from espnet_blankskip.packing import (
    PackedFrames,
    gather_frames,
    pack_frames,
    scatter_frames,
)
from espnet_blankskip.upstream import RelPositionMultiHeadedAttention

Prepare = Callable[[Tensor], Tensor]


class AllFrames:
    """Every frame of a padded batch runs, as in the stock encoder.

    Padding is kept out of results: masked as an attention key, zero for the
    convolution, absent from batch statistics. Without padding every operation is
    the stock one, in the stock order.

    Args:
        valid: (B, T) bool, False on padding.
        pos_emb: positional encoding for the attention, or None.
    """

    def __init__(self, valid: Tensor, pos_emb: Optional[Tensor]):
        self.valid = valid
        self.pos_emb = pos_emb
        self.mask = valid.unsqueeze(1)
        self.padded = not bool(valid.all())

    def attention(self, attn: torch.nn.Module, x: Tensor, prepare: Prepare) -> Tensor:
        """Self-attention: prepared states (B, T, D) -> (B, T, D)."""
        if self.pos_emb is None:
            return attn(x, x, x, self.mask)
        return attn(x, x, x, self.pos_emb, self.mask)

    def depthwise(
        self, conv: torch.nn.Conv1d, x: Tensor, project: Optional[Prepare] = None
    ) -> Tensor:
        """Depthwise convolution over time: (B, C, T) -> (B, C, T)."""
        if self.padded:
            x = x.masked_fill(~self.mask, 0.0)
        return conv(x)

    def batch_norm(self, norm: torch.nn.Module, x: Tensor) -> Tensor:
        """Batch normalization over valid frames: (B, C, T) -> (B, C, T)."""
        return _norm_over(norm, x, self.valid if self.padded else None)


class KeptFrames:
    """Only kept frames run; the others stay at their last state.

    Args:
        frames: the kept frames.
        running: the same as a mask (B, T) bool.
        valid: (B, T) bool, False on padding.
        stale: last states of all frames (B, T, D); read at skipped frames.
        pos_emb: relative positional encoding (1, 2T-1, D), or None.
        conv_context: what the convolution sees at a skipped frame: "stale" (its last
            state), "zero", or "packed" (time is collapsed; for models trained so).
        attn_context: keys and values are the "kept" frames, or "all".
        conv_radius: frames that the convolution reaches on each side.
    """

    def __init__(
        self,
        frames: PackedFrames,
        running: Tensor,
        valid: Tensor,
        stale: Tensor,
        pos_emb: Optional[Tensor],
        conv_context: str,
        attn_context: str,
        conv_radius: int,
    ):
        self.frames = frames
        self.valid = frames.valid
        self.collapsed = conv_context == "packed"
        self.pos_emb = pos_emb
        skipped = valid & ~running

        self.key_index, self.key_mask = frames.index, frames.valid.unsqueeze(1)
        self.attn_stale = None
        if attn_context == "all":
            others = pack_frames(skipped)
            self.attn_stale = gather_frames(stale, others)
            self.key_index = torch.cat([frames.index, others.index], 1)
            self.key_mask = torch.cat([frames.valid, others.valid], 1).unsqueeze(1)

        self.conv_frames = self.conv_stale = None
        if conv_context == "stale" and conv_radius > 0:
            # a skipped frame that no kept frame can see need not be projected
            self.conv_frames = pack_frames(skipped & widen(running, conv_radius))
            self.conv_stale = gather_frames(stale, self.conv_frames)

    def attention(self, attn: torch.nn.Module, x: Tensor, prepare: Prepare) -> Tensor:
        """Self-attention at true distances: prepared states (B, N, D) -> (B, N, D)."""
        keys = x
        if self.attn_stale is not None:
            keys = torch.cat([x, prepare(self.attn_stale)], 1)
        q, k, v = attn.forward_qkv(x, keys, keys)
        if isinstance(attn, RelPositionMultiHeadedAttention):
            scores = self._relative_scores(attn, q, k)
        else:
            scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(attn.d_k)
        return attn.forward_attention(v, scores, self.key_mask)

    def _relative_scores(self, attn, q: Tensor, k: Tensor) -> Tensor:
        """Attention scores (B, H, N, M) of Dai et al. 2019 (arXiv 1901.02860), 3.3."""
        heads, d_k = attn.h, attn.d_k
        p = attn.linear_pos(self.pos_emb).view(1, -1, heads, d_k).transpose(1, 2)
        content = torch.matmul(q + attn.pos_bias_u.unsqueeze(1), k.transpose(-2, -1))
        position = torch.matmul(q + attn.pos_bias_v.unsqueeze(1), p.transpose(-2, -1))
        # row T-1 of the table is distance 0, row T-1-d is d frames to the left
        distance = self.frames.index.unsqueeze(2) - self.key_index.unsqueeze(1)
        row = (self.frames.time - 1 - distance).unsqueeze(1)
        position = position.gather(-1, row.expand(-1, heads, -1, -1))
        if attn.zero_triu:
            position = position.masked_fill(distance.unsqueeze(1) < 0, 0.0)
        return (content + position) / math.sqrt(d_k)

    def depthwise(
        self, conv: torch.nn.Conv1d, x: Tensor, project: Optional[Prepare] = None
    ) -> Tensor:
        """Depthwise convolution on the true time axis: (B, C, N) -> (B, C, N).

        Args:
            conv: the layer's depthwise convolution.
            x: its input at kept frames.
            project: maps stale states (B, M, D) to the same input (B, C, M).
        """
        rows = x.transpose(1, 2)
        if self.collapsed:
            return conv(x.masked_fill(~self.valid.unsqueeze(1), 0.0))
        grid = rows.new_zeros(rows.size(0), self.frames.time, rows.size(2))
        if self.conv_stale is not None:
            context = project(self.conv_stale).transpose(1, 2)
            grid = scatter_frames(grid, context, self.conv_frames)
        grid = scatter_frames(grid, rows, self.frames)
        return gather_frames(
            conv(grid.transpose(1, 2)).transpose(1, 2), self.frames
        ).transpose(1, 2)

    def batch_norm(self, norm: torch.nn.Module, x: Tensor) -> Tensor:
        """Batch normalization over kept frames: (B, C, N) -> (B, C, N)."""
        return _norm_over(norm, x, self.valid)


def _norm_over(norm: torch.nn.Module, x: Tensor, valid: Optional[Tensor]) -> Tensor:
    """Normalize (B, C, N); in training, statistics come from the valid frames only."""
    if valid is None or not norm.training:
        return norm(x)
    rows = x.transpose(1, 2)[valid]
    if rows.size(0) < 2:
        # a variance needs two frames; running statistics keep the graph whole
        return torch.nn.functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    normed = torch.zeros_like(x.transpose(1, 2))
    normed[valid] = norm(rows).to(normed.dtype)
    return normed.transpose(1, 2)
