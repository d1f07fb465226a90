"""Linear layers on oneDNN, which torch itself only takes for bfloat16.

For float32 torch calls MKL, which on processors that are not Intel's runs at less than
half of their speed. A tensor in torch's ``mkldnn`` layout makes the same
``F.linear`` run on oneDNN instead; going there and back copies an activation twice,
one to four percent of the time of the product.
"""

from dataclasses import dataclass
from typing import Callable, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.acceleration.module import Accelerated
from espnet_blankskip.upstream import PositionwiseFeedForward

SMALLEST_PRODUCT = 2**22  # multiply-adds; below, the copies cost more than they gain

Affine = Tuple[Tensor, Optional[Tensor]]  # weight (C', C), bias (C',) or None


@dataclass(frozen=True)
class PackedLinear:
    """A linear map whose weights lie as its arithmetic wants them.

    Attributes:
        weight: (C', C), of the type of the arithmetic and of the result.
        bias: (C',) or None.
        packed: both in oneDNN's layout, or None.
    """

    weight: Tensor
    bias: Optional[Tensor]
    packed: Optional[Affine]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., C) -> (..., C')."""
        x = x.to(self.weight.dtype)
        products = x.numel() // x.size(-1) * self.weight.numel()
        if self.packed is None or products < SMALLEST_PRODUCT:
            return F.linear(x, self.weight, self.bias)
        return F.linear(x.to_mkldnn(), *self.packed).to_dense()


def pack_linear(
    weight: Tensor, bias: Optional[Tensor], dtype: torch.dtype
) -> PackedLinear:
    """Lay out the weights of a linear map for arithmetic of a type."""
    weight = weight.detach().to(dtype)
    bias = None if bias is None else bias.detach().to(dtype)
    packed = None
    on_cpu = weight.device.type == "cpu"
    if dtype == torch.float32 and on_cpu and torch.backends.mkldnn.is_available():
        packed = (
            weight.contiguous().to_mkldnn(),
            None if bias is None else bias.contiguous().to_mkldnn(),
        )
    return PackedLinear(weight, bias, packed)


def packed_linear(
    module: Accelerated,
    name: str,
    sources: Sequence[Optional[Tensor]],
    affine: Callable[[], Affine],
    dtype: torch.dtype,
) -> PackedLinear:
    """A module's linear map, packed once for as long as its parameters stay.

    Args:
        module: remembers the packed weights.
        name: of the map within the module.
        sources: parameters it depends on.
        affine: computes its weight and bias from them.
        dtype: type of the arithmetic.
    """
    return module.derived.get(
        (name, dtype),
        [source for source in sources if source is not None],
        lambda: pack_linear(*affine(), dtype),
    )


class AcceleratedLinear(Accelerated, torch.nn.Linear):
    """Linear layer that computes in ``compute_dtype`` and returns its input's type."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) -> (..., C')."""
        if not self.applies(x):
            return super().forward(x)
        return self._map("all", x, slice(None))

    def outputs_from(self, x: Tensor, first: int) -> Tensor:
        """The outputs from ``first`` on: (..., C) -> (..., C' - first)."""
        return self._map(f"from {first}", x, slice(first, None))

    @staticmethod
    def can_replace(linear: torch.nn.Linear) -> bool:
        """Whether it is a matrix; a gate's dot product gains nothing."""
        return linear.out_features > 1

    def _map(self, name: str, x: Tensor, rows: slice) -> Tensor:
        def affine():
            return self.weight[rows], None if self.bias is None else self.bias[rows]

        sources = (self.weight, self.bias)
        linear = packed_linear(self, name, sources, affine, self.dtype_for(x))
        return linear(x).to(x.dtype)


PLAIN_LINEAR = (torch.nn.Linear, AcceleratedLinear)


class AcceleratedPointwiseConv(Accelerated, torch.nn.Conv1d):
    """Convolution of width 1, computed as a linear layer on (B, T, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T) -> (B, C', T); best where x is a view of (B, T, C) memory."""
        if not self.applies(x):
            return super().forward(x)
        linear = packed_linear(
            self,
            "all",
            (self.weight, self.bias),
            lambda: (self.weight.squeeze(-1), self.bias),
            self.dtype_for(x),
        )
        return linear(x.transpose(1, 2)).to(x.dtype).transpose(1, 2)

    @staticmethod
    def can_replace(conv: torch.nn.Conv1d) -> bool:
        """Whether a convolution is a linear layer."""
        plain = conv.stride == (1,) and conv.padding == (0,) and conv.groups == 1
        return plain and conv.kernel_size == (1,)


class AcceleratedFeedForward(Accelerated, PositionwiseFeedForward):
    """Feed-forward module that stays in ``compute_dtype`` between its two layers."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, D) -> (B, T, D)."""
        if not self.applies(x):
            return super().forward(x)
        return super().forward(x.to(self.dtype_for(x))).to(x.dtype)

    @staticmethod
    def can_replace(feed_forward: PositionwiseFeedForward) -> bool:
        """Whether both layers take any type, as adapted or quantized ones may not."""
        layers = (feed_forward.w_1, feed_forward.w_2)
        return all(type(layer) in PLAIN_LINEAR for layer in layers)
