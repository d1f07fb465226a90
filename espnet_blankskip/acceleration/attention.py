"""Self-attention without copies of scores.

All of ESPnet's variants compute ``softmax((q k' + bias) / sqrt(d)) v``, some with a
bias of relative positions. On a CPU this goes through the queries some at a time, so
that their scores stay in cache and only the distances they can have are scored;
elsewhere it is torch's ``scaled_dot_product_attention``, which on CPUs was no faster
in float32 and half as fast in bfloat16.
"""

import math
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.acceleration.linear import (
    PLAIN_LINEAR,
    PackedLinear,
    packed_linear,
)
from espnet_blankskip.acceleration.module import Accelerated
from espnet_blankskip.upstream import MultiHeadedAttention

QUERY_BLOCK = 128

# (queries (B, H, N, d), start, stop) -> bias (B, H, stop - start, M) of those queries
Bias = Callable[[Tensor, int, int], Tensor]


class Attending(Accelerated):
    """Mix-in for ESPnet's attention modules: the arithmetic all of them share."""

    def attend(
        self,
        x: Tensor,
        keys: Tensor,
        mask: Optional[Tensor],
        bias: Optional[Bias] = None,
    ) -> Tensor:
        """Attend from every x to every key.

        Args:
            x: (B, N, D).
            keys: (B, M, D), also the values.
            mask: (B, 1, M) or (B, N, M), 0 where a key is not to be seen; or None.
            bias: position scores, already divided by sqrt(d); or None.

        Returns:
            (B, N, D), of the type of ``x``.
        """
        dtype = self.dtype_for(x)
        batch, frames, width = x.shape
        q = self._query(dtype)(x).view(batch, frames, self.h, self.d_k)
        kv = self._key_value(dtype)(keys).view(batch, -1, 2, self.h, self.d_k)
        q, k, v = (part.transpose(1, 2) for part in (q, kv[:, :, 0], kv[:, :, 1]))
        hidden = None if mask is None else mask.unsqueeze(1).eq(0)
        mix = attend_in_blocks if x.device.type == "cpu" else attend_at_once
        mixed = mix(q, k, v, hidden, bias).view(batch, frames, width)
        return self.linear_out(mixed.to(x.dtype))

    def query_bias(self) -> Tensor:
        """What is added to the projected queries of the content term: (D,)."""
        return self.linear_q.bias

    def query_parameters(self):
        """Parameters that the queries depend on."""
        return self.linear_q.weight, self.linear_q.bias

    def _query(self, dtype: torch.dtype) -> PackedLinear:
        def affine():
            scale = 1 / math.sqrt(self.d_k)
            return self.linear_q.weight * scale, self.query_bias() * scale

        return packed_linear(self, "query", self.query_parameters(), affine, dtype)

    def _key_value(self, dtype: torch.dtype) -> PackedLinear:
        k, v = self.linear_k, self.linear_v

        def affine():
            return torch.cat([k.weight, v.weight]), torch.cat([k.bias, v.bias])

        sources = (k.weight, k.bias, v.weight, v.bias)
        return packed_linear(self, "key and value", sources, affine, dtype)

    @staticmethod
    def can_replace(attention: MultiHeadedAttention) -> bool:
        """Whether it is plain: no norms of q and k, no causality, no other kernel."""
        parts = (attention.linear_q, attention.linear_k, attention.linear_v)
        norms = (attention.q_norm, attention.k_norm)
        options = ("use_flash_attn", "zero_triu")
        return (
            all(type(part) in PLAIN_LINEAR and part.bias is not None for part in parts)
            and all(type(norm) is torch.nn.Identity for norm in norms)
            and not any(getattr(attention, option, False) for option in options)
        )


class AcceleratedAttention(Attending, MultiHeadedAttention):
    """Multi-head attention without positions, or with absolute ones in its input."""

    def forward(self, query, key, value, mask, expand_kv=False) -> Tensor:
        """Attend; as ESPnet's.

        Args:
            query: (B, N, D).
            key, value: (B, M, D).
            mask: as for ``attend``.
            expand_kv: for ESPnet's partially autoregressive decoding.
        """
        if not self.applies(query) or key is not value or expand_kv:
            return super().forward(query, key, value, mask, expand_kv)
        return self.attend(query, key, mask)


def attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, hidden: Optional[Tensor], bias: Optional[Bias]
) -> Tensor:
    """Attention, ``QUERY_BLOCK`` queries at a time.

    Args:
        q: scaled queries (B, H, N, d).
        k, v: (B, H, M, d).
        hidden: (B, 1, 1, M) or (B, 1, N, M) bool, True where a key is not to be seen.
        bias: added to the scores.

    Returns:
        (B, N, H, d), contiguous.
    """
    batch, heads, frames, size = q.shape
    if hidden is not None and not bool(hidden.any()):
        hidden = None
    queries = q.reshape(-1, frames, size)
    keys, values = k.contiguous().flatten(0, 1), v.contiguous().flatten(0, 1)
    keys = keys.transpose(1, 2)
    mixed = q.new_empty(batch, frames, heads, size)
    for start in range(0, frames, QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, frames)
        block = queries[:, start:stop]
        if bias is None:
            scores = torch.bmm(block, keys)
        else:
            scores = torch.baddbmm(bias(q, start, stop).flatten(0, 1), block, keys)
        if hidden is not None:
            rows = hidden if hidden.size(2) == 1 else hidden[:, :, start:stop]
            scores = scores.view(batch, heads, stop - start, -1)
            scores = scores.masked_fill_(rows, torch.finfo(q.dtype).min).flatten(0, 1)
        block = torch.bmm(torch.softmax(scores, dim=-1), values)
        block = block.view(batch, heads, stop - start, size)
        mixed[:, start:stop] = block.transpose(1, 2)
    return mixed


def attend_at_once(
    q: Tensor, k: Tensor, v: Tensor, hidden: Optional[Tensor], bias: Optional[Bias]
) -> Tensor:
    """The same by torch's own kernels; arguments and result as above."""
    if bias is None:
        mask = None if hidden is None else ~hidden
    else:
        mask = bias(q, 0, q.size(2)).contiguous()
        if hidden is not None:
            mask.masked_fill_(hidden, torch.finfo(q.dtype).min)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    return mixed.transpose(1, 2).contiguous()
