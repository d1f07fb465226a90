"""Input layers of our own: ESPnet's conv2d and conv2d8 by depthwise convolutions.

A convolution over all channels becomes one per channel, with the same kernel and
stride, and a pointwise one that mixes them, as FastConformer does (Rekesh et al., ASRU
2023, arXiv 2305.05084). What it sees, its frames and its lengths are those of the layer
it is named after; the arithmetic is a quarter of it or less. ESPnet knows no such
layer: it builds its own, whose convolutions are then replaced.
"""

from typing import List, Optional

import torch

from espnet_blankskip.option_values import checked_count
from espnet_blankskip.upstream import check_short_utt

#: ``input_layer`` of ours -> ESPnet's with the same kernels and strides.
DEPTHWISE = {"dw_conv2d": "conv2d", "dw_conv2d8": "conv2d8"}
#: Channels of wider encoders, unless ``subsampling_channels`` says otherwise; those of
#: FastConformer.
MOST_CHANNELS = 256


def stock_input_layer(input_layer):
    """The ``input_layer`` that ESPnet is to build, for one of ours or of its own.

    Raises:
        ValueError: it is named like one of ours and is none.
    """
    if isinstance(input_layer, str) and input_layer.startswith("dw_"):
        if input_layer not in DEPTHWISE:
            raise ValueError(
                f"input_layer={input_layer} must be {' (by 4) or '.join(DEPTHWISE)} "
                "(by 8), or one of ESPnet's"
            )
        return DEPTHWISE[input_layer]
    return input_layer


def checked_channels(subsampling_channels: Optional[int], input_layer) -> Optional[int]:
    """Return the channels between the convolutions; None: as the width suggests.

    Raises:
        ValueError: naming the option and its allowed range.
    """
    if subsampling_channels is None:
        return None
    if input_layer not in DEPTHWISE:
        raise ValueError(
            f"subsampling_channels={subsampling_channels} needs input_layer "
            f"{' or '.join(DEPTHWISE)}, not {input_layer}"
        )
    return checked_count("subsampling_channels", subsampling_channels, least=1)


def make_depthwise(
    embed: torch.nn.Module, input_layer: str, channels: Optional[int] = None
) -> None:
    """Replace the convolutions of one of ESPnet's two-dimensional input layers.

    Args:
        embed: the layer, (B, T_in, F) -> (B, T, D).
        input_layer: what it is to become.
        channels: between the convolutions; None for D, or MOST_CHANNELS if D is more.

    Raises:
        ValueError: features have too few bins for the kernels.
    """
    # ESPnet until 202511 keeps the positions in ``out`` too
    kept_in, name = (embed.out, "0") if hasattr(embed.out, "0") else (embed, "out")
    linear = getattr(kept_in, name)
    width = linear.out_features
    bins = linear.in_features // width
    if bins < 1:
        least = check_short_utt(embed, 0)[1]
        raise ValueError(
            f"input_layer={input_layer} needs at least {least} features a frame"
        )
    channels = channels or min(width, MOST_CHANNELS)
    first, *others = [m for m in embed.conv if isinstance(m, torch.nn.Conv2d)]
    layers: List[torch.nn.Module] = [
        torch.nn.Conv2d(1, channels, first.kernel_size, first.stride),
        torch.nn.ReLU(inplace=True),
    ]
    for conv in others:
        layers += [
            torch.nn.Conv2d(
                channels, channels, conv.kernel_size, conv.stride, groups=channels
            ),
            torch.nn.Conv2d(channels, channels, 1),
            torch.nn.ReLU(inplace=True),
        ]
    embed.conv = torch.nn.Sequential(*layers)
    setattr(kept_in, name, torch.nn.Linear(channels * bins, width))
