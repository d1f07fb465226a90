"""ESPnet's two-dimensional input layers in 8 bits, a few frames at a time.

A runtime's own convolution of 8 bits takes five times as long as a product of patches
by a matrix. What comes between the two convolutions is forty times as large as the
features: only in parts does it stay in a processor's caches.
"""

import math
from typing import Sequence, Tuple

import numpy as np
import torch

from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import affine, array
from espnet_blankskip.export.quantized import Quantized, quantized_above_zero

PART_FRAMES = 16  # encoder frames computed at a time


def subsampled_in_8_bits(
    g: Graph, convs: torch.nn.Sequential, out: torch.nn.Linear, feats: Value
) -> Value:
    """Convolutions with ReLUs and a linear layer: (B, T_in, F) -> (B, T, D).

    The first convolution stays float32: with one channel there is nothing to gain.

    Args:
        g: The graph.
        convs: Square convolutions over all channels, a ReLU behind each.
        out: The linear layer; reads the channels and frequencies of a frame.
        feats: At least what one frame sees.
    """
    convs = convs[::2]
    channels = convs[-1].out_channels
    step = PART_FRAMES * math.prod(conv.stride[0] for conv in convs)
    field = _seen(convs, PART_FRAMES)
    bins = _seen(convs, out.in_features // channels)
    batch = feats.size(0)
    frames = (feats.size(1) - _seen(convs, 1)) / (step // PART_FRAMES) + 1
    count = (frames + (PART_FRAMES - 1)) / PART_FRAMES
    # zeros behind the last frame fill the last part
    missing = g.op("Max", (count - 1) * step + field - feats.size(1), 0)
    zeros = g.op("Expand", 0.0, g.join(batch, missing, bins))
    feats = g.concat(feats.cut(2, 0, bins), zeros, axis=1)
    inputs = (g.range(count) * step).unsqueeze(1) + np.arange(field)
    parts = feats.take(inputs, axis=1).transpose(1, 0, 2, 3)

    def convolve(part: Value) -> Value:  # (B, field, bins) -> (B, PART_FRAMES, F' C)
        shape = (field, bins)
        for conv in convs:
            part, shape = _convolution(g, conv, part, shape)
        # in this order the last step writes where the parts are joined
        return g.op("Relu", part.reshape(batch, PART_FRAMES, -1))

    x = g.for_each(convolve, parts)
    # a frame's channels come last here, in the weights of the linear layer first
    weight = array(out.weight)
    weight = weight.reshape(len(weight), channels, -1)
    weight = weight.transpose(0, 2, 1).reshape(len(weight), -1)
    x = affine(g, weight, array(out.bias), x, "embed").transpose(1, 0, 2, 3)
    return x.reshape(batch, -1, len(weight)).cut(1, 0, frames)


def _seen(convs: Sequence[torch.nn.Conv2d], outputs: int) -> int:
    """How many inputs, side by side, so many outputs see."""
    for conv in reversed(convs):
        outputs = (outputs - 1) * conv.stride[0] + conv.kernel_size[0]
    return outputs


def _convolution(
    g: Graph, conv: torch.nn.Conv2d, x: Value, shape: Tuple[int, int]
) -> Tuple[Value, Tuple[int, int]]:
    """Convolution as a product of patches, behind a ReLU unless it is the first.

    Args:
        g: The graph.
        conv: The convolution.
        x: Its input, channels last: any number of times T * F * C elements.
        shape: T and F.

    Returns:
        Rows of C' channels, and T' and F'.
    """
    matrix = array(conv.weight).transpose(2, 3, 1, 0).reshape(-1, conv.out_channels)
    places, after = _patches(shape, conv.kernel_size[0], conv.stride[0])

    def patches(x: Value) -> Value:
        x = x.reshape(-1, shape[0] * shape[1], conv.in_channels).take(places, axis=1)
        return x.reshape(-1, len(matrix))

    if conv.in_channels == 1:
        x = patches(x) @ g.weight(matrix, "subsampling.weight")
    else:
        small, scale, zero_point = quantized_above_zero(g, x)
        small = Quantized(patches(small), scale, zero_point)
        x = small.product(matrix, "subsampling")
    return x + g.weight(array(conv.bias), "subsampling.bias"), after


def _patches(
    shape: Tuple[int, int], width: int, step: int
) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Which of T*F places each of T'*F' outputs sees, output by output; T' and F'."""
    rows, columns = (
        np.arange((size - width) // step + 1)[:, None] * step + np.arange(width)
        for size in shape
    )
    places = rows[:, None, :, None] * shape[1] + columns[None, :, None, :]
    return places.reshape(-1), (len(rows), len(columns))
