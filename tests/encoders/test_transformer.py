"""blankskip_transformer keeps the contract of DESIGN section 8, points 1 to 5."""

import pytest
import torch
from encoder_contract import (
    CONTEXTS,
    build,
    check_any_number_of_kept_frames,
    check_batched_equals_single,
    check_equal_to_stock,
    check_parity,
)
from tiny_encoders import FEATS, WIDTH, make_ctc, make_feats, splitting_ctc

from espnet_blankskip.encoders import BlankSkipTransformerEncoder
from espnet_blankskip.upstream import TransformerEncoder

OPTIONS = dict(
    input_size=FEATS,
    output_size=WIDTH,
    attention_heads=2,
    linear_units=24,
    num_blocks=5,
    dropout_rate=0.0,
    positional_dropout_rate=0.0,
)
ARCHITECTURES = {
    "defaults": {},
    "post_norm": dict(normalize_before=False),
    "concat_after": dict(concat_after=True),
    "qk_norm": dict(qk_norm=True),
    "layer_drop": dict(layer_drop_rate=0.3),
    "conditioning": dict(interctc_layer_idx=[1, 2, 3], interctc_use_conditioning=True),
}
INPUT_LAYERS = {
    "linear": 7,
    "conv1d2": 5,
    "conv2d": 7,
    "conv2d1": 7,
    "conv2d2": 7,
    "conv2d6": 11,
    "conv2d8": 15,
    None: 1,
}
UNGATED = {
    "conv1d": dict(positionwise_layer_type="conv1d", positionwise_conv_kernel_size=3),
    "conv1d_linear": dict(
        positionwise_layer_type="conv1d-linear", positionwise_conv_kernel_size=3
    ),
    "conv_pos": dict(pos_enc_layer_type="conv", input_layer="linear"),
}
ATTN_CONTEXTS = {k: v for k, v in CONTEXTS.items() if v["conv_context"] == "stale"}


def make(**options):
    return build(BlankSkipTransformerEncoder, {**OPTIONS, **options})


def make_pair(gates, **options):
    """Our encoder and ESPnet's, float32."""
    options = {**OPTIONS, **options}
    single = torch.float32
    ours = build(BlankSkipTransformerEncoder, {**options, **gates}, dtype=single)
    return ours, build(TransformerEncoder, options, dtype=single)


NOTHING_SKIPPED = {"ungated": {}, "gated": dict(gate_layers=[2], blank_threshold=1.1)}
STOCK_CASES = {
    **ARCHITECTURES,
    **{f"input_{name}": dict(input_layer=name) for name in INPUT_LAYERS},
}


@pytest.mark.parametrize("gates", NOTHING_SKIPPED.values(), ids=NOTHING_SKIPPED)
@pytest.mark.parametrize("options", STOCK_CASES.values(), ids=STOCK_CASES)
def test_equal_to_stock_when_nothing_is_skipped(options, gates):
    ours, theirs = make_pair(gates, **options)
    shapes = {name: p.shape for name, p in theirs.state_dict().items()}
    assert {name: p.shape for name, p in ours.state_dict().items()} == shapes
    check_equal_to_stock(ours, theirs)


@pytest.mark.parametrize("options", UNGATED.values(), ids=UNGATED)
def test_equal_to_stock_where_gates_are_refused_or_new(options):
    check_equal_to_stock(*make_pair({}, **options))


@torch.no_grad()
def test_features_of_the_model_width_need_no_input_layer():
    options = dict(input_layer=None, input_size=WIDTH)
    ours, theirs = make_pair(dict(gate_layers=[2], blank_threshold=1.1), **options)
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(30, dtype=torch.float32, width=WIDTH)
    ctc = make_ctc(dtype=torch.float32)
    assert ours.embed is None
    assert ours(feats, lens, ctc=ctc)[0][0].equal(theirs(feats, lens)[0])


@torch.no_grad()
def test_all_hidden_states_are_those_of_stock():
    ours, theirs = make_pair({})
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(83, dtype=torch.float32)
    (_, got), _, _ = ours(feats, lens, return_all_hs=True)
    (_, want), _, _ = theirs(feats, lens, return_all_hs=True)
    assert len(got) == len(want) == 5
    assert all(a.equal(b) for a, b in zip(got, want))


@pytest.mark.parametrize("options", ATTN_CONTEXTS.values(), ids=ATTN_CONTEXTS)
def test_fast_path_is_the_definition(options):
    check_parity(make(**options), factorized=options["attn_context"] == "all")


@pytest.mark.parametrize("attn_context", ["kept", "all"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fast_path_is_the_definition_for_every_architecture(architecture, attn_context):
    options = ARCHITECTURES[architecture]
    check_parity(make(gate_layers=[2], attn_context=attn_context, **options))


@torch.no_grad()
def test_conv_context_has_no_effect():
    feats, lens = make_feats(83, 40)
    ctc = splitting_ctc(make(gate_layers=[2]), feats, lens)
    outputs = [
        make(gate_layers=[2], conv_context=c).encode_frames(feats, lens, ctc)
        for c in ("stale", "zero", "packed")
    ]
    assert outputs[0].states.equal(outputs[1].states)
    assert outputs[0].states.equal(outputs[2].states)


@pytest.mark.parametrize("options", ATTN_CONTEXTS.values(), ids=ATTN_CONTEXTS)
def test_batched_equals_single(options):
    check_batched_equals_single(make(**options), (83, 7, 61, 8, 35, 82))


@pytest.mark.parametrize("gates", [[], [2]], ids=["dense", "gated"])
@pytest.mark.parametrize("input_layer, shortest", INPUT_LAYERS.items())
def test_batched_equals_single_for_every_input_layer(input_layer, shortest, gates):
    encoder = make(gate_layers=gates, input_layer=input_layer)
    check_batched_equals_single(encoder, (83, shortest, shortest + 1, 61, 35))


@pytest.mark.parametrize("kept", ["nothing", "everything", "one"])
@pytest.mark.parametrize("lengths", [(7, 8), (83, 7, 40)], ids=["T=1", "ragged"])
@pytest.mark.parametrize("attn_context", ["kept", "all"])
def test_any_number_of_kept_frames(attn_context, lengths, kept):
    encoder = make(gate_layers=[2], attn_context=attn_context)
    check_any_number_of_kept_frames(encoder, lengths, kept)


def test_training_draws_the_same_random_numbers_as_stock():
    ours, theirs = make_pair({}, dropout_rate=0.2, layer_drop_rate=0.5)
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(83, dtype=torch.float32)
    outputs = []
    for encoder in (ours.train(), theirs.train()):
        torch.manual_seed(5)
        outputs.append(encoder(feats, lens)[0])
    assert outputs[0].equal(outputs[1])


REFUSED = {
    "conv1d": (UNGATED["conv1d"], "positionwise_layer_type=linear"),
    "conv1d_linear": (UNGATED["conv1d_linear"], "positionwise_layer_type=linear"),
    "gate_at_last_layer": (dict(gate_layers=[5]), r"gate_layers=\[5\].*1\.\.4"),
    "attn_context": (dict(attn_context="none"), "attn_context=none.*kept, all"),
}


@pytest.mark.parametrize("options, message", REFUSED.values(), ids=REFUSED)
def test_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make(**{"gate_layers": [2], **options})
