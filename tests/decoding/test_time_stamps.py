"""Frames of the encoder lie where their receptive fields lie in the audio."""

import pytest
import torch

from espnet_blankskip.decoding.time_stamps import (
    FrameClock,
    subsampling_geometry,
    token_times,
)
from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.upstream import ConformerEncoder


@pytest.mark.parametrize(
    "input_layer, step, first_centre, field",
    [
        ("conv2d", 4, 3.0, 7),
        ("conv2d1", 1, 2.0, 5),
        ("conv2d2", 2, 3.0, 7),
        ("conv2d6", 6, 5.0, 11),
        ("conv2d8", 8, 7.0, 15),
        ("dw_conv2d", 4, 3.0, 7),
        ("dw_conv2d8", 8, 7.0, 15),
    ],
)
def test_geometry_follows_the_convolutions(input_layer, step, first_centre, field):
    ours = input_layer.startswith("dw_")
    encoder = (BlankSkipConformerEncoder if ours else ConformerEncoder)(
        40, output_size=8, attention_heads=2, num_blocks=1, input_layer=input_layer
    )
    geometry = subsampling_geometry(encoder.embed)
    assert geometry == (step, first_centre, field)


@pytest.mark.parametrize("input_layer", ["conv2d", "dw_conv2d", "dw_conv2d8"])
@pytest.mark.parametrize("frame", [0, 3, 7])
def test_centre_is_where_the_encoder_looks(frame, input_layer):
    """Only feature frames within the receptive field change an encoder frame."""
    encoder = BlankSkipConformerEncoder(
        40, output_size=8, attention_heads=2, num_blocks=1, input_layer=input_layer
    ).eval()
    geometry = subsampling_geometry(encoder.embed)
    feats = torch.randn(1, 100, 40, requires_grad=True)
    encoder.embed.conv(feats.unsqueeze(1))[0, :, frame].sum().backward()
    seen = feats.grad[0].abs().sum(1).nonzero()[:, 0]
    centre = geometry.first_centre + frame * geometry.step
    assert seen.min() >= centre - (geometry.receptive_field - 1) / 2
    assert seen.max() <= centre + (geometry.receptive_field - 1) / 2


def test_seconds_of_tokens():
    clock = FrameClock(shift=0.04, first_centre=0.03)
    times = token_times(clock, [0, 5], [0, 6])
    assert times[0] == pytest.approx((0.01, 0.05))
    assert times[1] == pytest.approx((0.21, 0.29))
