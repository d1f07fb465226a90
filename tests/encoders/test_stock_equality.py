"""Contract 1: with nothing skipped it is ESPnet's encoder, bit for bit."""

import inspect

import pytest
import torch
from tiny_encoders import VOCAB, WIDTH, make_ctc, make_encoder, make_feats, make_stock

from espnet_blankskip.upstream import ConformerEncoder

STOCK_OPTIONS = {
    "defaults": {},
    "conv2d1": dict(input_layer="conv2d1"),
    "conv2d2": dict(input_layer="conv2d2"),
    "conv2d6": dict(input_layer="conv2d6"),
    "conv2d8": dict(input_layer="conv2d8"),
    "linear": dict(input_layer="linear"),
    "abs_pos": dict(pos_enc_layer_type="abs_pos", selfattention_layer_type="selfattn"),
    "scaled_abs_pos": dict(
        pos_enc_layer_type="scaled_abs_pos", selfattention_layer_type="selfattn"
    ),
    "no_macaron": dict(macaron_style=False),
    "concat_after": dict(concat_after=True),
    "post_norm": dict(normalize_before=False),
    "no_cnn": dict(use_cnn_module=False),
    "interctc": dict(interctc_layer_idx=[1, 3]),
    "conditioning": dict(interctc_layer_idx=[1, 3], interctc_use_conditioning=True),
    "qk_norm": dict(
        pos_enc_layer_type="abs_pos", selfattention_layer_type="selfattn", qk_norm=True
    ),
    "zero_triu": dict(zero_triu=True),
    "stochastic_depth": dict(stochastic_depth_rate=[0.5, 0.1, 0.2, 0.3, 0.4]),
    "layer_drop": dict(layer_drop_rate=0.3),
    "relu": dict(activation_type="relu"),
    "dropout": dict(dropout_rate=0.2, attention_dropout_rate=0.1),
}
if "use_sdpa" in inspect.signature(ConformerEncoder).parameters:  # since 2026
    STOCK_OPTIONS["use_sdpa"] = dict(use_sdpa=True)
UNGATED_OPTIONS = {
    "legacy": dict(rel_pos_type="legacy"),
    "conv1d": dict(positionwise_layer_type="conv1d"),
    "conv1d_linear": dict(positionwise_layer_type="conv1d-linear"),
    "conv_pos": dict(pos_enc_layer_type="conv", selfattention_layer_type="selfattn"),
}


def make_pair(options, gates):
    """Our encoder and ESPnet's with the same weights, float32, and a head."""
    ours = make_encoder(dtype=torch.float32, **options, **gates)
    theirs = make_stock(dtype=torch.float32, **options)
    if options.get("interctc_use_conditioning"):
        ours.conditioning_layer = torch.nn.Linear(VOCAB, WIDTH)
        theirs.conditioning_layer = torch.nn.Linear(VOCAB, WIDTH)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, make_ctc(dtype=torch.float32)


def split_output(output):
    """Encoder output as states and {layer: intermediate states}."""
    states, lens, _ = output
    states, intermediate = states if isinstance(states, tuple) else (states, [])
    return states, lens, dict(intermediate)


CASES = [
    pytest.param(options, gates, id=f"{name}-{kind}")
    for kind, gates, table in (
        ("ungated", {}, {**STOCK_OPTIONS, **UNGATED_OPTIONS}),
        ("gated", dict(gate_layers=[2, 4], blank_threshold=1.1), STOCK_OPTIONS),
    )
    for name, options in table.items()
]


@pytest.mark.parametrize("options, gates", CASES)
def test_equal_to_stock_when_nothing_is_skipped(options, gates):
    ours, theirs, ctc = make_pair(options, gates)
    feats, lens = make_feats(83, dtype=torch.float32)
    with torch.no_grad():
        states, olens, intermediate = split_output(ours(feats, lens, ctc=ctc))
        want, want_lens, want_intermediate = split_output(theirs(feats, lens, ctc=ctc))
    assert states.equal(want)
    assert olens.equal(want_lens)
    assert set(intermediate) == set(want_intermediate) | set(ours.gate_layers)
    for layer, want in want_intermediate.items():
        assert intermediate[layer].equal(want)


@pytest.mark.parametrize("options", STOCK_OPTIONS.values(), ids=STOCK_OPTIONS)
def test_same_parameter_names_and_shapes(options):
    ours = make_encoder(gate_layers=[2], **options).state_dict()
    theirs = make_stock(**options).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in theirs.items()
    }


@pytest.mark.parametrize("name", ["defaults", "stochastic_depth", "dropout"])
def test_training_draws_the_same_random_numbers_as_stock(name):
    ours, theirs, ctc = make_pair(STOCK_OPTIONS[name], {})
    feats, lens = make_feats(83, dtype=torch.float32)
    outputs = []
    for encoder in (ours.train(), theirs.train()):
        torch.manual_seed(5)
        outputs.append(encoder(feats, lens)[0])
    assert outputs[0].equal(outputs[1])


def test_all_hidden_states_are_those_of_stock():
    ours, theirs, _ = make_pair({}, {})
    feats, lens = make_feats(83, dtype=torch.float32)
    with torch.no_grad():
        (_, got), _, _ = ours(feats, lens, return_all_hs=True)
        (_, want), _, _ = theirs(feats, lens, return_all_hs=True)
    assert len(got) == len(want) == 5
    assert all(a.equal(b) for a, b in zip(got, want))


def test_mask_argument_stands_for_lengths():
    ours, _, ctc = make_pair({}, dict(gate_layers=[2]))
    feats, lens = make_feats(83, 40, dtype=torch.float32)
    masks = torch.arange(83) >= lens.unsqueeze(1)
    with torch.no_grad():
        by_lens = ours(feats, lens, ctc=ctc)
        by_masks = ours(feats, None, masks=masks, ctc=ctc)
    assert by_masks[0][0].equal(by_lens[0][0])
    assert by_masks[1].equal(by_lens[1])


def test_ctc_trim_without_gates_is_stock_behaviour():
    options = dict(interctc_layer_idx=[2], ctc_trim=True)
    ours, theirs, ctc = make_pair(options, {})
    feats, lens = make_feats(83, dtype=torch.float32)
    with torch.no_grad():
        got, got_lens, _ = split_output(ours(feats, lens, ctc=ctc))
        want, want_lens, _ = split_output(theirs(feats, lens, ctc=ctc))
    assert got.equal(want) and got_lens.equal(want_lens)
