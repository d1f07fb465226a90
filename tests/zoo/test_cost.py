"""The estimate counts the multiply-adds that the modules really do."""

import pytest
import torch
from tiny_checkpoints import E_BRANCHFORMER_CONF, FEATS, light_state
from tiny_experiment import ENCODER_CONF

from espnet_blankskip.encoders import ENCODERS
from espnet_blankskip.upstream import stock_encoder
from espnet_blankskip.zoo.cost import encoder_cost, speed_ups

T_IN = 403  # features that conv2d turns into 100 frames


def counted(encoder, feats):
    """Multiply-adds of every linear layer and convolution in one forward pass."""
    total = [0]

    def count(module, _, out):
        if isinstance(module, torch.nn.Linear):
            total[0] += out.numel() * module.in_features
        else:
            kernel = module.weight[0].numel()  # input channels of a group, and width
            total[0] += out.numel() * kernel

    kinds = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)
    for module in encoder.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(count)
    with torch.no_grad():
        out, lens, _ = encoder.eval()(feats, torch.tensor([feats.size(1)]))
    return total[0], int(lens[0])


CASES = {
    "conformer": ("conformer", ENCODER_CONF, "conv2d"),
    "conformer, conv2d6": (
        "conformer",
        dict(ENCODER_CONF, input_layer="conv2d6"),
        "conv2d6",
    ),
    "e_branchformer": ("e_branchformer", E_BRANCHFORMER_CONF, "conv2d"),
    "conformer, dw_conv2d": (
        "blankskip_conformer",
        dict(ENCODER_CONF, input_layer="dw_conv2d"),
        "dw_conv2d",
    ),
    "conformer, dw_conv2d8": (
        "blankskip_conformer",
        dict(ENCODER_CONF, input_layer="dw_conv2d8", subsampling_channels=8),
        "dw_conv2d8",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_dense_estimate_is_what_the_modules_do(case):
    name, conf, input_layer = CASES[case]
    encoder_class = ENCODERS.get(name) or stock_encoder(name)
    # bins of which no convolution leaves one over: the estimate does not see those
    feats = 31 if input_layer == "dw_conv2d8" else FEATS
    encoder = encoder_class(input_size=feats, **conf)
    real, frames = counted(encoder, torch.randn(1, T_IN, feats))
    state = light_state(name, conf, feats)
    cost = encoder_cost(state, input_layer, frames)
    without_attention = cost.subsampling + cost.layers * (
        frames * cost.per_frame + cost.table
    )
    assert without_attention == pytest.approx(real, rel=0.02)


def test_attention_is_counted_per_pair_of_frames():
    """Scores and values: 2 D per pair; the position term D per pair and table row."""
    cost = encoder_cost(light_state(), "conv2d", 100)
    assert (cost.per_pair, cost.per_position) == (32, 32)


def test_fewer_kept_frames_never_cost_more():
    cost = encoder_cost(light_state(), "conv2d", 250)
    rows = speed_ups(cost, [2], [0.1, 0.3, 0.5, 0.9], factorized=True)
    speeds = [row["speed_up"] for row in rows]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[0] > 1.2


def test_an_earlier_gate_saves_more():
    cost = encoder_cost(light_state(), "conv2d", 250)
    rows = speed_ups(cost, [1, 2, 3], [0.2], factorized=False)
    speeds = [row["speed_up"] for row in rows]
    assert speeds == sorted(speeds, reverse=True)


def test_keeping_every_frame_saves_nothing():
    cost = encoder_cost(light_state(), "conv2d", 250)
    assert cost.skipping(2, 1.0, factorized=True) == pytest.approx(cost.dense())
    assert cost.skipping(2, 1.0, factorized=False) > cost.dense()


@pytest.mark.parametrize(
    "name, conf, numbers",
    [
        ("conformer", ENCODER_CONF, 2 * 16 * 16),
        # cgMLP projects to 32, of which one half gates
        ("e_branchformer", E_BRANCHFORMER_CONF, 16 * 32 / 2),
    ],
)
def test_what_a_skipped_frame_costs_for_its_neighbours_is_counted(name, conf, numbers):
    assert encoder_cost(light_state(name, conf), "conv2d", 100).stale == numbers


def test_attention_to_all_frames_costs_the_keys_of_skipped_ones():
    encoder = stock_encoder("conformer")(8, **ENCODER_CONF)
    state = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    cost = encoder_cost(state, "conv2d", frames=100)
    width = ENCODER_CONF["output_size"]
    projected = 50 * 2 * width * width
    attended = 50 * 50 * 2 * width
    more = cost.layer(0.5, "all") - cost.layer(0.5)
    assert more == pytest.approx(projected + attended)
    assert cost.layer(1.0, "all") == cost.layer(1.0)
