"""The convolutions of ESPnet's two-dimensional input layers, channels last."""

from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.acceleration.module import Accelerated

BLOCK_FRAMES = 128  # output frames at a time, whose inputs still fit into cache
DEPTHWISE_BLOCK_FRAMES = 32  # for these it is memory that takes the time


class AcceleratedSubsampling(Accelerated, torch.nn.Sequential):
    """Convolutions and ReLUs that turn a spectrogram into frames.

    The first convolution, which has one input channel, is a linear layer on the
    patches of the spectrogram; so its output, and with it every later one, lies
    channels last, which oneDNN computes twice as fast, depthwise or not. On a long
    utterance the layers run on one stretch of time after the other, because the first
    one's output is some fifty times larger than the frames that come out at the end.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map a spectrogram (B, 1, T_in, F) to an image (B, C, T, F')."""
        if not self.applies(x) or x.device.type != "cpu":
            return super().forward(x)
        stride, width = self._reach()
        frames = (x.size(2) - width) // stride + 1
        if frames < 1:
            return super().forward(x)
        depthwise = any(conv.groups > 1 for conv in self._convolutions())
        block = DEPTHWISE_BLOCK_FRAMES if depthwise else BLOCK_FRAMES
        block = max(1, block // x.size(0))
        images = []
        for start in range(0, frames, block):
            first, last = start * stride, min(start + block, frames) - 1
            images.append(self._convolve(x[:, :, first : last * stride + width]))
        return torch.cat(images, dim=2)

    def _convolve(self, x: Tensor) -> Tensor:
        dtype = self.dtype_for(x)
        image = x.to(dtype)
        for number, layer in enumerate(self):
            if isinstance(layer, torch.nn.ReLU):
                image = image.relu_()
                continue
            weight, bias = self.derived.get(
                (number, dtype),
                (layer.weight, layer.bias),
                lambda layer=layer: _channels_last(layer, dtype),
            )
            if number == 0:
                image = F.linear(_patches(layer, image), weight.flatten(1), bias)
                image = image.permute(0, 3, 1, 2)
            else:
                image = F.conv2d(image, weight, bias, layer.stride, groups=layer.groups)
        return image.to(x.dtype)

    def _convolutions(self) -> List[torch.nn.Conv2d]:
        return [module for module in self if isinstance(module, torch.nn.Conv2d)]

    def _reach(self):
        """Input frames from one output frame to the next, and under one of them."""
        stride, width = 1, 1
        for conv in self._convolutions():
            width += (conv.kernel_size[0] - 1) * stride
            stride *= conv.stride[0]
        return stride, width

    @staticmethod
    def can_replace(layers: torch.nn.Sequential) -> bool:
        """Whether these are plain convolutions and ReLUs, from one channel.

        A convolution may be depthwise.
        """
        convs = [layer for layer in layers if type(layer) is torch.nn.Conv2d]
        others = [layer for layer in layers if type(layer) is not torch.nn.Conv2d]
        if not convs or convs[0] is not layers[0] or convs[0].in_channels != 1:
            return False
        return all(type(layer) is torch.nn.ReLU for layer in others) and all(
            conv.padding == (0, 0)
            and conv.dilation == (1, 1)
            and conv.groups in (1, conv.out_channels)
            and conv.bias is not None
            for conv in convs
        )


def _patches(conv: torch.nn.Conv2d, x: Tensor) -> Tensor:
    """What each output of a convolution sees: (B, 1, T, F) -> (B, T', F', patch)."""
    patches = x[:, 0]
    for axis in (0, 1):
        patches = patches.unfold(axis + 1, conv.kernel_size[axis], conv.stride[axis])
    return patches.flatten(3)


def _channels_last(conv: torch.nn.Conv2d, dtype: torch.dtype):
    weight = conv.weight.detach().to(dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    return weight, conv.bias.detach().to(dtype)
