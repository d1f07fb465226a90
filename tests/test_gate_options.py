"""One value for the gates: read from anything, checked once, changed as a whole."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from tiny_encoders import make_encoder

from espnet_blankskip.gate_options import GATE_OPTIONS, GateOptions
from espnet_blankskip.zoo.conversion_plan import ConversionOptions


@pytest.mark.parametrize(
    "options, expected",
    [
        (dict(gate_layers="4"), dict(gate_layers=(4,))),
        (dict(gate_layers="4,8"), dict(gate_layers=(4, 8))),
        (dict(gate_layers="[4, 8]"), dict(gate_layers=(4, 8))),
        (dict(gate_layers=4), dict(gate_layers=(4,))),
        (dict(gate_layers=np.array([4, 8])), dict(gate_layers=(4, 8))),
        (dict(gate_layers=[np.int64(4), "8"]), dict(gate_layers=(4, 8))),
        (dict(gate_layers=[]), dict(gate_layers=())),
        (dict(blank_threshold="0.9"), dict(blank_threshold=0.9)),
        (dict(blank_threshold=np.float64(0.9)), dict(blank_threshold=0.9)),
        (dict(blank_threshold=np.float32(0.5)), dict(blank_threshold=0.5)),
        (dict(blank_threshold=torch.tensor(0.5)), dict(blank_threshold=0.5)),
        (dict(blank_threshold=2), dict(blank_threshold=2.0)),
        (dict(spike_extension=np.int64(1)), dict(spike_extension=1)),
        (dict(spike_extension="1"), dict(spike_extension=1)),
        (dict(spike_extension=1.0), dict(spike_extension=1)),
    ],
    ids=str,
)
def test_numbers_and_layers_are_read_however_they_are_given(options, expected):
    read = GateOptions(**options)
    assert read == GateOptions(**expected)
    ((name, value),) = expected.items()
    assert type(getattr(read, name)) is type(value)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(blank_threshold=0.49), "blank_threshold=0.49 must be at least 0.5"),
        (dict(blank_threshold=-1.0), "blank_threshold=-1.0"),
        (dict(blank_threshold=float("nan")), "blank_threshold=nan"),
        (dict(blank_threshold="high"), "blank_threshold=high"),
        (dict(blank_threshold=True), "blank_threshold=True"),
        (dict(spike_extension=-1), "=-1 must be a whole number of frames >= 0"),
        (dict(spike_extension=1.5), "spike_extension=1.5 must be a whole number"),
        (dict(spike_extension="1.5"), "spike_extension=1.5"),
        (dict(spike_extension=np.float32(0.5)), "spike_extension=0.5"),
        (dict(spike_extension=float("inf")), "spike_extension=inf"),
        (dict(spike_extension=False), "spike_extension=False"),
        (dict(gate_layers=0), r"gate_layers=\[0\] must be ascending .* from 1"),
        (dict(gate_layers="4 8"), r"gate_layers=\[4 8\] must .* such as 4 or 4,8"),
        (dict(gate_layers="8,4"), r"gate_layers=\[8,4\] must be ascending"),
        (dict(gate_layers=[4, 4]), r"gate_layers=\[4,4\] must be ascending"),
        (dict(gate_layers=2.5), r"gate_layers=\[2.5\]"),
        (dict(gate_layers="four"), r"gate_layers=\[four\]"),
        (dict(conv_context="fresh"), "conv_context=fresh must be one of: stale, zero"),
        (dict(attn_context="none"), "attn_context=none must be one of: kept, all"),
        (dict(mode="fast"), "mode=fast must be one of: skipping, dense, intermediate"),
    ],
    ids=str,
)
def test_wrong_values_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GateOptions(**options)


def test_a_value_goes_to_the_encoder_and_comes_back_whole():
    asked = GateOptions([1, 3], 0.7, 2, "zero", "all")
    encoder = make_encoder(**asked.given())
    assert encoder.gate_options == asked
    encoder = make_encoder(gate_layers=[2], interctc_layer_idx=[1, 3])
    encoder.set_gate(replace(asked, mode="skipping"))
    assert encoder.gate_options == asked
    encoder.set_gate(GateOptions(blank_threshold=0.9))
    assert encoder.gate_options == replace(asked, blank_threshold=0.9)


def test_given_options_are_those_that_yaml_and_commands_name():
    options = GateOptions([4, 8], 0.9, mode="skipping")
    values = dict(gate_layers=[4, 8], blank_threshold=0.9, mode="skipping")
    assert options.given() == values
    words = "--gate-layers 4,8 --blank-threshold 0.9 --mode skipping"
    assert options.flags() == words.split()
    assert GateOptions(**options.given()) == options


@pytest.mark.parametrize(
    "mode, unused",
    [
        (None, []),
        ("skipping", []),
        ("intermediate", ["blank_threshold", "attn_context"]),
        ("dense", ["gate_layers", "blank_threshold", "attn_context"]),
    ],
)
def test_a_mode_says_what_it_does_not_use(mode, unused):
    options = GateOptions([4], 0.9, attn_context="all", mode=mode)
    assert options.unused() == unused


def test_options_of_a_conversion_are_checked_the_same_way():
    assert ConversionOptions("4,8").gate_layers == (4, 8)
    with pytest.raises(ValueError, match="blank_threshold=0.2 must be at least 0.5"):
        ConversionOptions(gate_layers=[2], blank_threshold=0.2)
    names = [field.name for field in fields(ConversionOptions)]
    assert names[: len(GATE_OPTIONS)] == list(GATE_OPTIONS)
