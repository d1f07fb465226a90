"""Weights of either ESPnet naming load into the encoder of this one."""

import pytest
import torch
from tiny_encoders import make_encoder, make_stock

from espnet_blankskip.encoders.input_layer_names import use_names_of

PAIRS = {"embed.out.0.": "embed.out.", "embed.out.1.": "embed.pos_enc."}
POSITIONS = {
    "rel_pos": {},
    "scaled_abs_pos": dict(
        pos_enc_layer_type="scaled_abs_pos", selfattention_layer_type="selfattn"
    ),
}
LAYERS = ("conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "linear")


def other_naming(state):
    """The same weights as the other ESPnet calls them."""
    renamed = {}
    for name, weight in state.items():
        for old, new in PAIRS.items():
            if name.startswith(old):
                name = name.replace(old, new)
                break
            if name.startswith(new):
                name = name.replace(new, old)
                break
        renamed[name] = weight
    return renamed


def options(layer, positions):
    return dict(input_layer=layer, **POSITIONS[positions])


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("layer", LAYERS)
def test_both_namings_load_key_for_key(layer, positions):
    source = make_encoder(seed=1, **options(layer, positions))
    for state in (source.state_dict(), other_naming(source.state_dict())):
        target = make_encoder(seed=2, **options(layer, positions))
        target.load_state_dict(state, strict=True)
        for name, weight in source.state_dict().items():
            assert target.state_dict()[name].equal(weight), name


def test_inside_a_model_too():
    source, target = (make_encoder(seed=seed) for seed in (1, 2))
    state = {f"encoder.{k}": v for k, v in other_naming(source.state_dict()).items()}
    model = torch.nn.ModuleDict({"encoder": target})
    model.load_state_dict(state, strict=True)
    for name, weight in source.state_dict().items():
        assert target.state_dict()[name].equal(weight), name


def test_weights_of_the_other_naming_win_over_random_ones_beside_them():
    """As ESPnet's ``--init_param`` hands them over: updated, not replaced."""
    source, target = (make_encoder(seed=seed) for seed in (1, 2))
    target.load_state_dict(
        {**target.state_dict(), **other_naming(source.state_dict())}, strict=True
    )
    for name, weight in source.state_dict().items():
        assert target.state_dict()[name].equal(weight), name


def test_a_stock_encoder_gets_the_names_it_has():
    stock = make_stock()
    state = other_naming(stock.state_dict())
    assert set(state) != set(stock.state_dict())
    use_names_of(stock.state_dict(), state)
    assert set(state) == set(stock.state_dict())


def test_names_of_neither_version_stay():
    state = {"embed.out.7.weight": 1, "gate.weight": 2}
    use_names_of({"embed.out.weight": 0}, state)
    assert state == {"embed.out.7.weight": 1, "gate.weight": 2}
