"""The conformer's convolution module on (B, T, C) memory.

ESPnet hands (B, C, T) views of (B, T, C) memory to torch's one-dimensional kernels,
which turn the axes first. These modules take and return the same views and leave the
memory as it lies.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.acceleration.module import Accelerated
from espnet_blankskip.upstream import Swish


def depthwise_over_time(conv: torch.nn.Conv1d, x: Tensor) -> Tensor:
    """Depthwise convolution (B, C, T) -> (B, C, T') of a view of (B, T, C) memory.

    The two-dimensional kernel for channels-last memory is over ten times faster on
    CPUs than the one-dimensional one.
    """
    image = F.conv2d(
        x.unsqueeze(2),
        conv.weight.unsqueeze(2),
        conv.bias,
        padding=(0, conv.padding[0]),
        groups=conv.groups,
    )
    return image.squeeze(2)


class AcceleratedDepthwiseConv(Accelerated, torch.nn.Conv1d):
    """Depthwise convolution over time; in its input's type, where it is fast enough."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T) -> (B, C, T'); best where x is a view of (B, T, C) memory."""
        if not self.applies(x) or x.device.type != "cpu":
            return super().forward(x)
        return depthwise_over_time(self, x)

    @staticmethod
    def can_replace(conv: torch.nn.Conv1d) -> bool:
        """Whether a convolution is depthwise and nothing but that."""
        depthwise = conv.groups == conv.in_channels == conv.out_channels
        plain = conv.stride == (1,) and conv.dilation == (1,)
        padded = conv.padding_mode == "zeros" and isinstance(conv.padding, tuple)
        return depthwise and plain and padded


class AcceleratedBatchNorm(Accelerated, torch.nn.BatchNorm1d):
    """Batch normalization by running statistics, as one multiplication and addition."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, T) or (N, C)."""
        if not self.applies(x):
            return super().forward(x)
        sources = (self.weight, self.bias, self.running_mean, self.running_var)
        scale, shift = self.derived.get("affine", sources, self._affine)
        if x.dim() == 3:
            scale, shift = scale.unsqueeze(-1), shift.unsqueeze(-1)
        return torch.addcmul(shift, x, scale)

    def _affine(self):
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale

    @staticmethod
    def can_replace(norm: torch.nn.BatchNorm1d) -> bool:
        """Whether a norm has running statistics, a weight and a bias."""
        return norm.affine and norm.running_mean is not None


class AcceleratedSwish(Accelerated, Swish):
    """x * sigmoid(x) in one pass."""

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return F.silu(x) if self.applies(x) else super().forward(x)
