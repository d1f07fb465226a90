"""blankskip_e_branchformer keeps the contract of DESIGN section 8, points 1 to 5."""

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

from espnet_blankskip.encoders import BlankSkipEBranchformerEncoder
from espnet_blankskip.upstream import EBranchformerEncoder

OPTIONS = dict(
    input_size=FEATS,
    output_size=WIDTH,
    attention_heads=2,
    cgmlp_linear_units=24,
    cgmlp_conv_kernel=5,
    linear_units=24,
    num_blocks=5,
    dropout_rate=0.0,
    positional_dropout_rate=0.0,
    use_ffn=True,
    macaron_ffn=True,
)
SELF = dict(attention_layer_type="selfattn")
ARCHITECTURES = {
    "defaults": {},
    "no_ffn": dict(use_ffn=False, macaron_ffn=False),
    "no_macaron": dict(macaron_ffn=False),
    "abs_pos": dict(pos_enc_layer_type="abs_pos", **SELF),
    "scaled_abs_pos": dict(pos_enc_layer_type="scaled_abs_pos", **SELF),
    "qk_norm": dict(pos_enc_layer_type="abs_pos", qk_norm=True, **SELF),
    "zero_triu": dict(zero_triu=True),
    "linear_after_conv": dict(use_linear_after_conv=True),
    "gate_activation": dict(gate_activation="swish"),
    "wide_kernels": dict(cgmlp_conv_kernel=31, merge_conv_kernel=15),
    "point_kernels": dict(cgmlp_conv_kernel=1, merge_conv_kernel=1),
    "conditioning": dict(interctc_layer_idx=[1, 2, 3], interctc_use_conditioning=True),
}
INPUT_LAYERS = {
    "linear": 7,
    "conv1d1": 5,
    "conv1d2": 5,
    "conv1d3": 7,
    "conv2d": 7,
    "conv2d1": 7,
    "conv2d2": 7,
    "conv2d6": 11,
    "conv2d8": 15,
}
UNGATED = {
    "legacy": dict(rel_pos_type="legacy"),
    "fast_selfattn": dict(
        pos_enc_layer_type="abs_pos", attention_layer_type="fast_selfattn"
    ),
    "conv_pos": dict(pos_enc_layer_type="conv", **SELF),
    "checkpointed": dict(gradient_checkpoint_layers=[0, 2, 3]),
}


def make(**options):
    return build(BlankSkipEBranchformerEncoder, {**OPTIONS, **options})


def make_pair(gates, dtype=torch.float32, **options):
    """Our encoder and ESPnet's."""
    options = {**OPTIONS, **options}
    ours = build(BlankSkipEBranchformerEncoder, {**options, **gates}, dtype=dtype)
    return ours, build(EBranchformerEncoder, options, dtype=dtype)


NOTHING_SKIPPED = {"ungated": {}, "gated": dict(gate_layers=[2], blank_threshold=1.1)}
STOCK_CASES = {
    **ARCHITECTURES,
    **{name: dict(input_layer=name) for name in INPUT_LAYERS},
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


@pytest.mark.parametrize("max_layer, all_states", [(3, False), (None, True)])
@torch.no_grad()
def test_looking_inside_is_the_stock_code(max_layer, all_states):
    ours, theirs = make_pair(dict(gate_layers=[2]), interctc_layer_idx=[1, 4])
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(83, dtype=torch.float32)
    asked = dict(max_layer=max_layer, return_all_hs=all_states)
    (got, got_inside), _, _ = ours(feats, lens, ctc=make_ctc(), **asked)
    (want, want_inside), _, _ = theirs(feats, lens, **asked)
    assert got.equal(want)
    assert len(got_inside) == len(want_inside)


@pytest.mark.parametrize("options", CONTEXTS.values(), ids=CONTEXTS)
def test_fast_path_is_the_definition(options):
    check_parity(make(**options), factorized=options["attn_context"] == "all")


@pytest.mark.parametrize("contexts", [("stale", "all"), ("zero", "kept")], ids="-".join)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fast_path_is_the_definition_for_every_architecture(architecture, contexts):
    conv_context, attn_context = contexts
    check_parity(
        make(
            gate_layers=[2],
            conv_context=conv_context,
            attn_context=attn_context,
            **ARCHITECTURES[architecture],
        )
    )


def test_a_projection_that_is_no_plain_linear_layer_gives_the_same():
    """As after quantization: the gate half cannot be cut out of such a module."""
    encoder = make(gate_layers=[2])
    feats, lens = make_feats(58)
    ctc = splitting_ctc(encoder, feats, lens)
    want = encoder.encode_frames(feats, lens, ctc).states
    for layer in encoder.encoders:
        module = layer.cgmlp.channel_proj1
        module[0] = torch.nn.Sequential(module[0])
    got = encoder.encode_frames(feats, lens, ctc).states
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", CONTEXTS.values(), ids=CONTEXTS)
def test_batched_equals_single(options):
    check_batched_equals_single(make(**options), (83, 7, 61, 8, 35, 82))


@pytest.mark.parametrize("gates", [[], [2]], ids=["dense", "gated"])
@pytest.mark.parametrize("input_layer, shortest", INPUT_LAYERS.items())
def test_batched_equals_single_for_every_input_layer(input_layer, shortest, gates):
    encoder = make(gate_layers=gates, input_layer=input_layer)
    check_batched_equals_single(encoder, (83, shortest, shortest + 1, 61, 35))


@pytest.mark.parametrize("gates", [[], [2]], ids=["dense", "gated"])
def test_batched_equals_single_with_convolutional_positions(gates):
    encoder = make(gate_layers=gates, **UNGATED["conv_pos"])
    check_batched_equals_single(encoder, (83, 7, 8, 61, 35))


@pytest.mark.parametrize("kept", ["nothing", "everything", "one"])
@pytest.mark.parametrize("lengths", [(7, 8), (83, 7, 40)], ids=["T=1", "ragged"])
@pytest.mark.parametrize("conv_context", ["stale", "zero", "packed"])
def test_any_number_of_kept_frames(conv_context, lengths, kept):
    encoder = make(gate_layers=[2], conv_context=conv_context)
    check_any_number_of_kept_frames(encoder, lengths, kept)


@pytest.mark.parametrize("options", [{}, dict(layer_drop_rate=0.5)], ids=["", "drop"])
def test_training_draws_the_same_random_numbers_as_stock(options):
    ours, theirs = make_pair({}, **options, dropout_rate=0.2)
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(83, dtype=torch.float32)
    outputs = []
    for encoder in (ours.train(), theirs.train()):
        torch.manual_seed(5)
        outputs.append(encoder(feats, lens)[0])
    assert outputs[0].equal(outputs[1])


def test_layer_drop_spares_gate_layers():
    encoder = make(gate_layers=[2, 4], layer_drop_rate=0.99).train()
    feats, lens = make_feats(83)
    (_, intermediate), _, _ = encoder(feats, lens, ctc=make_ctc())
    assert [number for number, _ in intermediate] == [2, 4]


def test_checkpointed_layers_give_the_same_gradients():
    gradients = []
    for layers in ([], [0, 1, 3, 5]):
        encoder = make(gate_layers=[2], gradient_checkpoint_layers=layers)
        feats, lens = make_feats(83, 40)
        ctc = splitting_ctc(encoder, feats, lens)
        encoder.train()(feats, lens, ctc=ctc)[0][0].square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


REFUSED = {
    "legacy_positions": (dict(rel_pos_type="legacy"), "rel_pos_type=latest"),
    "fast_selfattn": (UNGATED["fast_selfattn"], "attention_layer_type=fast_selfattn"),
    "gate_at_last_layer": (dict(gate_layers=[5]), r"gate_layers=\[5\].*1\.\.4"),
    "conv_context": (dict(conv_context="fresh"), "conv_context=fresh.*stale, zero"),
}


@pytest.mark.parametrize("options, message", REFUSED.values(), ids=REFUSED)
def test_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make(**{"gate_layers": [2], **options})
