"""Contract 2: the packed fast path equals the frame-by-frame definition.

Outputs, depths and every gradient, in float64. ESPnet keeps its table of relative
positions in float32 and the definition computes them exactly, hence 1e-6 there.
"""

import inspect
import itertools

import pytest
import torch
from tiny_encoders import WIDTH, make_encoder, make_feats, splitting_ctc

from espnet_blankskip import packing
from espnet_blankskip.encoders.naive import naive_encode
from espnet_blankskip.upstream import ConformerEncoder

CONTEXTS = [
    pytest.param(
        dict(
            conv_context=conv,
            attn_context=attn,
            gate_layers=gates,
            spike_extension=extension,
        ),
        factorized,
        id="-".join(
            [conv, attn, f"gates{gates}", f"ext{extension}"]
            + ["factorized" if factorized else "plain"]
        ),
    )
    for conv, attn, gates, extension, factorized in itertools.product(
        ("stale", "zero", "packed"),
        ("kept", "all"),
        ([2], [2, 4]),
        (0, 1),
        (False, True),
    )
]
BOTH_CONTEXTS = [("stale", "all"), ("zero", "kept")]
ARCHITECTURES = {
    "abs_pos": dict(pos_enc_layer_type="abs_pos", selfattention_layer_type="selfattn"),
    "qk_norm": dict(
        pos_enc_layer_type="abs_pos", selfattention_layer_type="selfattn", qk_norm=True
    ),
    "post_norm": dict(normalize_before=False),
    "no_macaron": dict(macaron_style=False),
    "no_cnn": dict(use_cnn_module=False),
    "wide_kernel": dict(cnn_module_kernel=31),
    "point_kernel": dict(cnn_module_kernel=1),
    "concat_after": dict(concat_after=True),
    "zero_triu": dict(zero_triu=True),
    "linear_input": dict(input_layer="linear"),
    "conditioning": dict(interctc_layer_idx=[1, 2, 3], interctc_use_conditioning=True),
}

if "use_sdpa" in inspect.signature(ConformerEncoder).parameters:  # since 2026
    ARCHITECTURES["use_sdpa"] = dict(use_sdpa=True)


def assert_parity(options, factorized=False, frames=58):
    """Fast path and definition agree on one utterance, forward and backward."""
    if options.get("input_layer") == "linear":
        frames //= 4
    encoder = make_encoder(**{"gate_layers": [2], **options})
    if encoder.interctc_use_conditioning:
        encoder.conditioning_layer = torch.nn.Linear(6, WIDTH).double()
    feats, lens = make_feats(frames)
    ctc = splitting_ctc(encoder, feats, lens, factorized)
    modules = torch.nn.ModuleList([encoder, ctc])
    weights = torch.randn(100, WIDTH, dtype=torch.float64)

    def run(encode):
        modules.zero_grad()
        x = feats.clone().requires_grad_()
        states, depth = encode(x)
        loss = (states * weights[: len(states)]).sum() + states.square().sum()
        loss.backward()
        grads = {n: p.grad for n, p in modules.named_parameters()}
        return states.detach(), depth, dict(grads, feats=x.grad)

    def fast(x):
        encoded = encoder.encode_frames(x, lens, ctc)
        return encoded.states[0], encoded.depth[0]

    states, depth, grads = run(fast)
    want_states, want_depth, want_grads = run(
        lambda x: naive_encode(encoder, x[0], ctc)
    )

    assert set(depth.tolist()) == {*encoder.gate_layers, encoder.num_blocks}
    assert depth.equal(want_depth)
    tolerance = 1e-6 if hasattr(encoder.encoders[0].self_attn, "linear_pos") else 1e-10
    torch.testing.assert_close(states, want_states, rtol=tolerance, atol=tolerance)
    for name, want in want_grads.items():
        if want is None:
            # the definition does not run what has no influence on the output
            assert grads[name] is None or not grads[name].any(), name
        else:
            largest = float(want.abs().max())
            error = float((grads[name] - want).abs().max())
            assert error <= tolerance * (1 + largest), f"gradient of {name}: {error}"


@pytest.mark.parametrize("options, factorized", CONTEXTS)
def test_fast_path_is_the_definition(options, factorized):
    assert_parity(options, factorized)


@pytest.mark.parametrize("contexts", BOTH_CONTEXTS, ids="-".join)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fast_path_is_the_definition_for_every_architecture(architecture, contexts):
    conv_context, attn_context = contexts
    options = dict(conv_context=conv_context, attn_context=attn_context)
    assert_parity(dict(ARCHITECTURES[architecture], **options))


@pytest.mark.parametrize("contexts", BOTH_CONTEXTS, ids="-".join)
@torch.no_grad()
def test_spare_rows_beside_the_kept_frames_change_nothing(contexts, monkeypatch):
    conv_context, attn_context = contexts
    encoder = make_encoder(
        gate_layers=[2], conv_context=conv_context, attn_context=attn_context
    )
    feats, lens = make_feats(58)
    ctc = splitting_ctc(encoder, feats, lens)
    want, want_depth = naive_encode(encoder, feats[0], ctc)
    monkeypatch.setattr(packing, "WIDTHS", 2)
    encoded = encoder.encode_frames(feats, lens, ctc)
    assert encoded.depth[0].equal(want_depth)
    torch.testing.assert_close(encoded.states[0], want, rtol=1e-6, atol=1e-6)


def test_definition_without_gates_is_the_dense_encoder():
    """The definition itself is anchored to ESPnet's encoder, which it never calls."""
    encoder = make_encoder()
    feats, lens = make_feats(40)
    states, depth = naive_encode(encoder, feats[0])
    torch.testing.assert_close(encoder(feats, lens)[0][0], states, rtol=0, atol=1e-6)
    assert depth.eq(encoder.num_blocks).all()
