"""``input_layer: dw_conv2d`` and ``dw_conv2d8`` keep the contract."""

import math
import warnings

import pytest
import torch
from encoder_contract import (
    build,
    check_any_number_of_kept_frames,
    check_batched_equals_single,
    check_parity,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_encoders import (
    FEATS,
    OPTIONS_OF,
    WIDTH,
    make_ctc,
    make_encoder,
    make_feats,
    splitting_ctc,
)

from espnet_blankskip.acceleration import accelerate
from espnet_blankskip.acceleration.subsampling import AcceleratedSubsampling
from espnet_blankskip.encoders import ENCODERS
from espnet_blankskip.encoders.depthwise_subsampling import DEPTHWISE
from espnet_blankskip.encoders.naive import naive_encode
from espnet_blankskip.encoders.naive_subsampling import naive_subsample
from espnet_blankskip.upstream import TooShortUttError

SHORTEST = {"dw_conv2d": 7, "dw_conv2d8": 15}
ENCODER_AND_LAYER = [(name, layer) for name in ENCODERS for layer in DEPTHWISE]
CHANNELS = {"as_wide": {}, "narrow": dict(subsampling_channels=5)}


def make(name, input_layer, **options):
    options = {**OPTIONS_OF[name], "gate_layers": [2], **options}
    return build(ENCODERS[name], dict(options, input_layer=input_layer))


def subsampled(embed, feats):
    """States (T, D) without positions, of one utterance (T_in, F)."""
    image = embed.conv(feats[None, None])[0]
    linear = next(m for m in embed.out.modules() if isinstance(m, torch.nn.Linear))
    return linear(image.transpose(0, 1).flatten(1))


@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize("frames", [15, 31, 40], ids=str)
@pytest.mark.parametrize("layer", DEPTHWISE)
def test_is_its_naive_twin_outputs_and_gradients(layer, frames, channels):
    embed = make_encoder(input_layer=layer, **channels).embed
    feats = make_feats(frames)[0][0]
    results = []
    for subsample in (subsampled, naive_subsample):
        embed.zero_grad()
        x = feats.clone().requires_grad_()
        out = subsample(embed, x)
        (out.square().sum() + out.sum()).backward()
        grads = {name: p.grad for name, p in embed.named_parameters()}
        results.append({"states": out.detach(), "features": x.grad, **grads})
    fast, naive = results
    assert naive["states"].abs().max() > 0 and len(naive) >= 8
    for name, want in naive.items():
        torch.testing.assert_close(fast[name], want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layer", DEPTHWISE)
def test_the_encoder_adds_positions_to_what_the_naive_twin_says(layer):
    encoder = make_encoder(input_layer=layer)
    feats, lens = make_feats(47)
    with torch.no_grad():
        got = encoder.embed_features(feats)[0][0]
        want = naive_subsample(encoder.embed, feats[0]) * math.sqrt(WIDTH)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name, layer", ENCODER_AND_LAYER)
def test_skipping_is_the_definition(name, layer):
    encoder = make(name, layer)
    if name != "blankskip_conformer":
        return check_parity(encoder, frames=90)
    feats, lens = make_feats(150)
    ctc = splitting_ctc(encoder, feats, lens)
    with torch.no_grad():
        got = encoder.encode_frames(feats, lens, ctc)
        want, depth = naive_encode(encoder, feats[0], ctc)
    assert got.depth[0].equal(depth)
    torch.testing.assert_close(got.states[0], want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name, layer", ENCODER_AND_LAYER)
def test_batched_equals_single(name, layer):
    short = SHORTEST[layer]
    check_batched_equals_single(make(name, layer), (120, short, 61, short + 1, 83))


@pytest.mark.parametrize("layer", DEPTHWISE)
def test_one_frame_and_any_number_of_kept_ones(layer):
    encoder = make("blankskip_conformer", layer)
    for kept in ("nothing", "everything"):
        check_any_number_of_kept_frames(encoder, (SHORTEST[layer], 61), kept)


@pytest.fixture(scope="module", params=DEPTHWISE)
def ours_and_stock(request):
    """A gated encoder with a layer of ours, and one with ESPnet's of the same reach."""
    layers = (request.param, DEPTHWISE[request.param])
    return tuple(make_encoder(gate_layers=[2], input_layer=layer) for layer in layers)


@settings(max_examples=20, deadline=None)
@given(lens=st.lists(st.integers(15, 150), min_size=1, max_size=4))
def test_lengths_are_those_of_the_convolutions_for_any_batch(ours_and_stock, lens):
    ours, stock = ours_and_stock
    feats, lens = make_feats(*lens)
    with torch.no_grad():
        got, want = (e.encode_frames(feats, lens, mode="dense") for e in (ours, stock))
    alone = [ours.embed.conv(feats[:1, None, :n]).size(2) for n in lens]
    assert got.lens.tolist() == alone == want.lens.tolist()
    assert got.states.size(1) == max(alone)


@pytest.mark.parametrize("layer", DEPTHWISE)
def test_too_short_is_refused_with_the_limit(layer):
    encoder, limit = make_encoder(input_layer=layer), SHORTEST[layer]
    feats, lens = make_feats(limit - 1)
    with pytest.raises(TooShortUttError, match=f"at least {limit}") as error:
        encoder(feats, lens)
    assert error.value.limit == limit
    assert encoder(*make_feats(limit))[1].tolist() == [1]


@pytest.mark.parametrize("layer", DEPTHWISE)
@torch.no_grad()
def test_traced_convolutions_take_any_length(layer):
    conv = make_encoder(input_layer=layer, dtype=torch.float32).embed.conv
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        plain = torch.jit.trace(conv, torch.randn(1, 1, 40, FEATS))
        fast = torch.jit.trace(accelerate(conv), torch.randn(1, 1, 40, FEATS))
    for frames in (SHORTEST[layer], 41, 133):
        image = torch.randn(2, 1, frames, FEATS)
        for traced in (plain, fast):
            torch.testing.assert_close(traced(image), conv(image), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("frames", [15, 16, 23, 640], ids=str)
@pytest.mark.parametrize("layer", DEPTHWISE)
@torch.no_grad()
def test_accelerated_gives_the_same(layer, frames):
    encoder = make_encoder(input_layer=layer, gate_layers=[2], dtype=torch.float32)
    feats, lens = make_feats(frames, max(15, frames // 2), dtype=torch.float32)
    want = encoder.encode_frames(feats, lens, make_ctc(dtype=torch.float32), "dense")
    accelerate(encoder)
    assert type(encoder.embed.conv) is AcceleratedSubsampling
    got = encoder.encode_frames(feats, lens, make_ctc(dtype=torch.float32), "dense")
    valid = want.depth > 0
    torch.testing.assert_close(
        got.states[valid], want.states[valid], rtol=1e-4, atol=1e-4
    )


def test_channels_follow_the_width_up_to_256():
    wide = make_encoder(output_size=320, linear_units=8, input_layer="dw_conv2d")
    assert make_encoder(input_layer="dw_conv2d").embed.conv[0].out_channels == WIDTH
    assert wide.embed.conv[0].out_channels == 256


REFUSED = {
    "unknown": (dict(input_layer="dw_conv2d4"), "input_layer=dw_conv2d4.*dw_conv2d8"),
    "few_features": (
        dict(input_layer="dw_conv2d8", input_size=12),
        "input_layer=dw_conv2d8 needs at least 15 features",
    ),
    "channels_of_stock": (
        dict(input_layer="conv2d", subsampling_channels=64),
        "subsampling_channels=64 needs input_layer",
    ),
    "channels_by_default_layer": (
        dict(subsampling_channels=64),
        "subsampling_channels=64 needs input_layer",
    ),
    "no_channels": (
        dict(input_layer="dw_conv2d", subsampling_channels=0),
        "subsampling_channels=0 must be at least 1",
    ),
}


@pytest.mark.parametrize("options, message", REFUSED.values(), ids=REFUSED)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(**options)


@pytest.mark.parametrize("layer", DEPTHWISE)
def test_weights_load_by_the_names_of_either_espnet(layer):
    from test_input_layer_names import other_naming

    source, target = (make_encoder(seed=s, input_layer=layer) for s in (1, 2))
    target.load_state_dict(other_naming(source.state_dict()), strict=True)
    for name, weight in source.state_dict().items():
        assert target.state_dict()[name].equal(weight), name
