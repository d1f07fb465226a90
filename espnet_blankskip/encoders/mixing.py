"""How the frames that run see each other, and see the frames that do not.

Feed-forward layers and norms treat frames one by one; only attention, depthwise
convolution and batch statistics mix them. Those are the two classes here, one for
layers that run on all frames and one for layers that run on kept frames. Both work
on true positions: distances are differences of original frame numbers, and the
convolution sees true neighbours in time.
"""

import copy
import math
from typing import Callable, List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.acceleration import fast
from espnet_blankskip.acceleration.convolution import depthwise_over_time
from espnet_blankskip.encoders.positions import PositionTables
from espnet_blankskip.gate import widen
from espnet_blankskip.packing import PackedFrames, gather_frames, pack_frames
from espnet_blankskip.upstream import (
    RelPositionMultiHeadedAttention,
)

Prepare = Callable[[Tensor], Tensor]


class AllFrames:
    """Every frame of a padded batch runs, as in the stock encoder.

    Padding is kept out of results: masked as an attention key, zero for the
    convolution, absent from batch statistics. Without padding every operation is
    the stock one, in the stock order.

    Args:
        valid: (B, T) bool, False on padding.
        pos_emb: positional encoding for the attention, or None.
        prompt: what layers are told beside the audio, or None; only handed on.
    """

    def __init__(self, valid: Tensor, pos_emb: Optional[Tensor], prompt=None):
        self.valid = valid
        self.prompt = prompt
        self.pos_emb = pos_emb
        self.mask = valid.unsqueeze(1)
        self.padded = not bool(valid.all())

    def attention(self, attn: torch.nn.Module, x: Tensor, prepare: Prepare) -> Tensor:
        """Self-attention: prepared states (B, T, D) -> (B, T, D)."""
        attn = _for_this_call(attn, x)
        if self.pos_emb is None:
            return attn(x, x, x, self.mask)
        return attn(x, x, x, self.pos_emb, self.mask)

    def pointwise(self, conv: torch.nn.Conv1d, x: Tensor) -> Tensor:
        """Convolution of width 1: (B, T, C) -> (B, T, C')."""
        return conv(x.transpose(1, 2)).transpose(1, 2)

    def depthwise(
        self, conv: torch.nn.Conv1d, x: Tensor, project: Optional[Prepare] = None
    ) -> Tensor:
        """Depthwise convolution over time: (B, T, C) -> (B, T, C)."""
        if self.padded:
            x = x.masked_fill(~self.valid.unsqueeze(-1), 0.0)
        return conv(x.transpose(1, 2)).transpose(1, 2)

    def batch_norm(self, norm: torch.nn.Module, x: Tensor) -> Tensor:
        """Batch normalization over valid frames: (B, T, C) -> (B, T, C)."""
        if norm.training and (self.padded or x.size(0) * x.size(1) < 2):
            return _norm_valid(norm, x, self.valid)
        return norm(x.transpose(1, 2)).transpose(1, 2)


class KeptFrames:
    """Only kept frames run; the others stay at their last state.

    Args:
        frames: the kept frames.
        running: the same as a mask (B, T) bool.
        valid: (B, T) bool, False on padding.
        stale: last states of all frames (B, T, D); read at skipped frames.
        pos_emb: relative positional encoding (1, 2T-1, D), or None.
        positions: projects it, from memory where that is allowed.
        conv_context: what the convolution sees at a skipped frame: "stale" (its last
            state), "zero", or "packed" (time is collapsed; for models trained so).
        attn_context: keys and values are the "kept" frames, or "all".
        conv_radius: frames that the convolution reaches on each side.
        prompt: what layers are told beside the audio, or None; only handed on.
    """

    def __init__(
        self,
        frames: PackedFrames,
        running: Tensor,
        valid: Tensor,
        stale: Tensor,
        pos_emb: Optional[Tensor],
        positions: PositionTables,
        conv_context: str,
        attn_context: str,
        conv_radius: int,
        prompt=None,
    ):
        self.frames = frames
        self.prompt = prompt
        self.pos_emb = pos_emb
        self.positions = positions
        self.collapsed = conv_context == "packed"
        skipped = valid & ~running

        keys, key_valid = frames.index, frames.valid
        self.attn_stale = None
        if attn_context == "all":
            others = pack_frames(skipped)
            self.attn_stale = gather_frames(stale, others)
            keys = torch.cat([keys, others.index], 1)
            key_valid = torch.cat([key_valid, others.valid], 1)
        self.key_mask = None if bool(key_valid.all()) else key_valid.unsqueeze(1)
        # (B, 1, N, M): frames from key to query, positive to the left
        self.distance = (frames.index.unsqueeze(2) - keys.unsqueeze(1)).unsqueeze(1)
        # row T-1 of a position table is distance 0, row T-1-d is d frames to the left
        self.row = frames.time - 1 - self.distance

        self.conv_stale = None
        parts = [frames]
        if conv_context == "stale" and conv_radius > 0:
            # a skipped frame that no kept frame can see need not be projected
            context = pack_frames(skipped & widen(running, conv_radius))
            self.conv_stale = gather_frames(stale, context)
            parts.append(context)
        self.kept_cells = _source_of_cells(parts[:1])
        self.all_cells = _source_of_cells(parts)

    def attention(self, attn: torch.nn.Module, x: Tensor, prepare: Prepare) -> Tensor:
        """Self-attention at true distances: prepared states (B, N, D) -> (B, N, D)."""
        keys = x
        if self.attn_stale is not None:
            keys = torch.cat([x, prepare(self.attn_stale)], 1)
        if fast(attn, x):
            return attn.attend(x, keys, self.key_mask, self._fast_bias(attn, x))
        attn = _for_this_call(attn, x)
        q, k, v = attn.forward_qkv(x, keys, keys)
        if isinstance(attn, RelPositionMultiHeadedAttention):
            scores = self._relative_scores(attn, q, k)
        else:
            scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(attn.d_k)
        return attn.forward_attention(v, scores, self.key_mask)

    def _relative_scores(self, attn, q: Tensor, k: Tensor) -> Tensor:
        """Attention scores (B, H, N, M) of Dai et al. 2019 (arXiv 1901.02860), 3.3."""
        heads, d_k = attn.h, attn.d_k
        p = self.positions.project(attn.linear_pos, self.pos_emb)
        p = p.view(-1, heads, d_k).permute(1, 2, 0)
        content = torch.matmul(q + attn.pos_bias_u.unsqueeze(1), k.transpose(-2, -1))
        position = torch.matmul(q + attn.pos_bias_v.unsqueeze(1), p)
        position = position.gather(-1, self.row.expand(-1, heads, -1, -1))
        if attn.zero_triu:
            position = position.masked_fill(self.distance < 0, 0.0)
        return (content + position) / math.sqrt(d_k)

    def _fast_bias(self, attn, x: Tensor):
        """Position scores for an accelerated attention, or None where it has none."""
        if not isinstance(attn, RelPositionMultiHeadedAttention):
            return None
        table = attn.position_table(self.pos_emb, attn.dtype_for(x))
        return attn.bias_at(table, self.row)

    def pointwise(self, conv: torch.nn.Conv1d, x: Tensor) -> Tensor:
        """Convolution of width 1, as a linear layer: (B, N, C) -> (B, N, C')."""
        if fast(conv, x):
            return conv(x.transpose(1, 2)).transpose(1, 2)
        return F.linear(x, conv.weight.squeeze(-1), conv.bias)

    def depthwise(
        self, conv: torch.nn.Conv1d, x: Tensor, project: Optional[Prepare] = None
    ) -> Tensor:
        """Depthwise convolution on the true time axis: (B, N, C) -> (B, N, C).

        Args:
            conv: the layer's depthwise convolution.
            x: its input at kept frames.
            project: maps stale states (B, M, D) to the same input (B, M, C); without
                it, skipped frames count as zeros.
        """
        if self.collapsed:
            return _depthwise(conv, x.masked_fill(~self.frames.valid.unsqueeze(-1), 0))
        batch, _, channels = x.shape
        rows, cells = [x.reshape(-1, channels)], self.kept_cells
        if self.conv_stale is not None and project is not None:
            rows.append(project(self.conv_stale).reshape(-1, channels))
            cells = self.all_cells
        rows.append(x.new_zeros(1, channels))
        grid = torch.cat(rows).index_select(0, cells).view(batch, -1, channels)
        return gather_frames(_depthwise(conv, grid), self.frames)

    def batch_norm(self, norm: torch.nn.Module, x: Tensor) -> Tensor:
        """Batch normalization over kept frames: (B, N, C) -> (B, N, C)."""
        if norm.training:
            return _norm_valid(norm, x, self.frames.valid)
        return norm(x.reshape(-1, x.size(-1))).view_as(x)


def _for_this_call(attn: torch.nn.Module, x: Tensor) -> torch.nn.Module:
    """An attention with the same parameters that other threads do not touch.

    ESPnet's puts its scores into an attribute and reads them from there.
    """
    alone = attn.training or torch.jit.is_tracing() or torch.compiler.is_compiling()
    return attn if alone or fast(attn, x) else copy.copy(attn)


def _source_of_cells(parts: List[PackedFrames]) -> Tensor:
    """For each cell of the time axis (B*T,), the packed row that belongs there.

    Rows count through all parts, padding included; a cell that no part fills gets
    the row after the last one.
    """
    cells = parts[0].index.size(0) * parts[0].time
    rows = torch.cat([part.rows for part in parts])
    source = rows.new_full((cells + 1,), rows.numel())
    source[rows] = torch.arange(rows.numel(), device=rows.device)
    return source[:-1]  # the last cell collected the padding


def _depthwise(conv: torch.nn.Conv1d, x: Tensor) -> Tensor:
    """Depthwise convolution (B, T, C) -> (B, T, C) without turning the axes."""
    return depthwise_over_time(conv, x.transpose(1, 2)).transpose(1, 2)


def _norm_valid(norm: torch.nn.Module, x: Tensor, valid: Tensor) -> Tensor:
    """Normalize (B, N, C) in training, with statistics of the valid frames only."""
    rows = x[valid]
    if rows.size(0) < 2:
        # a variance needs two frames; running statistics keep the graph whole
        return F.batch_norm(
            x.transpose(1, 2),
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            eps=norm.eps,
        ).transpose(1, 2)
    normed = torch.zeros_like(x)
    normed[valid] = norm(rows).to(x.dtype)
    return normed
