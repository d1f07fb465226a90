"""What a depthwise-separable input layer computes, one place at a time.

This is the definition that ``input_layer: dw_conv2d`` and ``dw_conv2d8`` have to match.
An image of the features, time by frequency, shrinks in stages: each place of the next
image sees a small square of the last one, channel by channel; then, from the second
stage on, its channels mix; negative values become zero. What is left of a frame's bins
and channels becomes its state. Nothing is seen beyond the ends: a place whose square
does not fit does not exist.
"""

import torch
import torch.nn.functional as F


def naive_subsample(embed, feats):
    """Subsample one utterance with an input layer's weights.

    Args:
        embed: the encoder's input layer.
        feats: input features (T_in, F).

    Returns:
        (T, D), without positions.
    """
    image = [[pixel.view(1) for pixel in frame] for frame in feats]
    first, *others = [m for m in embed.conv if isinstance(m, torch.nn.Conv2d)]
    for square, mix in [(first, None), *zip(others[::2], others[1::2])]:
        image = _stage(image, square, mix)
    linear = next(m for m in embed.out.modules() if isinstance(m, torch.nn.Linear))
    return torch.stack([linear(torch.stack(frame, dim=1).flatten()) for frame in image])


def _stage(image, square, mix):
    """The next image: rows are frames, their items the bins, each (channels,)."""
    (height, width), (step, stride) = square.kernel_size, square.stride
    smaller = []
    for t in range(0, len(image) - height + 1, step):
        frame = []
        for f in range(0, len(image[0]) - width + 1, stride):
            place = square.bias
            for i in range(height):
                for j in range(width):
                    place = place + square.weight[:, 0, i, j] * image[t + i][f + j]
            if mix is not None:
                place = F.linear(place, mix.weight[:, :, 0, 0], mix.bias)
            frame.append(place.relu())
        smaller.append(frame)
    return smaller
