"""Contracts 4 and 5: any number of frames kept, any length, training and decoding."""

import pytest
import torch
from tiny_encoders import (
    VOCAB,
    WIDTH,
    make_ctc,
    make_encoder,
    make_feats,
    splitting_ctc,
)

CONTEXTS = [
    dict(conv_context="stale", attn_context="all"),
    dict(conv_context="stale", attn_context="kept"),
    dict(conv_context="zero", attn_context="kept"),
    dict(conv_context="packed", attn_context="kept"),
]
CONTEXT_IDS = ["-".join(context.values()) for context in CONTEXTS]
BATCHES = {"one_frame": (7,), "one_frame_each": (7, 7), "ragged": (83, 7, 40)}

CASES = [
    pytest.param(lens, kept, id=f"{name}-{kept}")
    for name, lens in BATCHES.items()
    for kept in ("nothing", "everything", "one")
    if (name, kept) != ("one_frame", "one")  # one of one is everything
]


def prefer_blank(ctc, logit):
    """Make blank certain (large) or impossible (very negative) on every frame."""
    with torch.no_grad():
        ctc.ctc_lo.bias[0] += logit
    return ctc


def keep_one_frame(encoder, feats, lens):
    """A head and threshold with which exactly one frame of the batch goes on."""
    ctc = prefer_blank(make_ctc(), 4.0)
    encoder.set_gate(spike_extension=0)
    with torch.no_grad():
        encoded = encoder.encode_frames(feats, lens, ctc, "intermediate")
        blank = ctc.softmax(encoded.states)[encoded.depth > 0][:, 0].sort().values
    encoder.set_gate(blank_threshold=float((blank[:2].sum() / 2).clamp(min=0.5)))
    return ctc


@pytest.mark.parametrize("lens, kept", CASES)
@pytest.mark.parametrize("context", CONTEXTS, ids=CONTEXT_IDS)
def test_any_number_of_kept_frames(context, lens, kept):
    encoder = make_encoder(gate_layers=[2], **context)
    feats, lens = make_feats(*lens)
    if kept == "one":
        ctc = keep_one_frame(encoder, feats, lens)
    else:
        ctc = prefer_blank(make_ctc(), 40.0 if kept == "nothing" else -40.0)

    encoded = encoder.encode_frames(feats, lens, ctc)
    frames = int(encoded.lens.sum())
    want = {"nothing": 0, "everything": frames, "one": 1}[kept]
    assert int(encoded.kept.sum()) == want
    assert encoded.kept_ratio == want / frames
    assert encoded.states.isfinite().all()

    encoder.train()
    (states, _), olens, _ = encoder(feats, lens, ctc=ctc)
    assert olens.equal(encoded.lens)
    valid = encoded.depth > 0
    ctc.log_softmax(states)[valid].sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, f"{name} got no gradient"
        assert parameter.grad.isfinite().all(), name


def test_nothing_kept_is_the_intermediate_output():
    encoder = make_encoder(gate_layers=[2])
    feats, lens = make_feats(83, 40)
    ctc = prefer_blank(make_ctc(), 40.0)
    skipping = encoder.encode_frames(feats, lens, ctc)
    intermediate = encoder.encode_frames(feats, lens, ctc, "intermediate")
    assert skipping.states.equal(intermediate.states)
    assert skipping.depth.equal(intermediate.depth)


def test_dense_mode_ignores_the_gate_and_needs_no_ctc():
    encoder = make_encoder(gate_layers=[2])
    feats, lens = make_feats(83)
    dense = encoder.encode_frames(feats, lens, mode="dense")
    never = encoder.encode_frames(
        feats, lens, prefer_blank(make_ctc(), -40.0), "skipping"
    )
    assert dense.states.equal(never.states)
    assert dense.depth.eq(encoder.num_blocks).all()


@pytest.mark.parametrize("conditioning", [False, True], ids=["interctc", "selfcond"])
@torch.no_grad()
def test_what_is_skipped_changes_neither_lengths_nor_outputs_up_to_the_gate(
    conditioning,
):
    encoder = make_encoder(
        gate_layers=[3],
        interctc_layer_idx=[1, 2, 4],
        interctc_use_conditioning=conditioning,
    )
    if conditioning:
        encoder.conditioning_layer = torch.nn.Linear(VOCAB, WIDTH).double()
    feats, lens = make_feats(83, 40)
    ctc = splitting_ctc(encoder, feats, lens)
    (want, want_inter), want_lens, _ = encoder(feats, lens, ctc=ctc)
    assert [number for number, _ in want_inter] == [1, 2, 3, 4]
    for threshold in (0.5, 0.8, 0.99, 1.1):
        encoder.set_gate(blank_threshold=threshold)
        (states, intermediate), olens, _ = encoder(feats, lens, ctc=ctc)
        assert states.shape == want.shape
        assert olens.equal(want_lens)
        for (number, ours), (also, reference) in zip(intermediate, want_inter):
            assert number == also and ours.shape == reference.shape
            if number <= 3:
                assert ours.equal(reference)


@torch.no_grad()
def test_skipped_frames_leave_with_the_output_of_their_gate():
    encoder = make_encoder(gate_layers=[2, 4])
    feats, lens = make_feats(83, 40)
    encoded = encoder.encode_frames(
        feats, lens, splitting_ctc(encoder, feats, lens), "skipping"
    )
    for number, states in encoded.intermediate:
        gone = encoded.depth == number
        assert gone.any()
        assert encoded.states[gone].equal(states[gone])


@torch.no_grad()
def test_kept_follows_blank_posterior_and_threshold():
    encoder = make_encoder(gate_layers=[2], spike_extension=0)
    feats, lens = make_feats(83, 40)
    ctc = splitting_ctc(encoder, feats, lens)
    encoded = encoder.encode_frames(feats, lens, ctc)
    valid = encoded.depth > 0
    assert encoded.kept.equal((encoded.blank_logp.exp() < 0.95) & valid)


def test_too_short_is_refused_with_the_limit():
    from espnet_blankskip.upstream import TooShortUttError

    feats, lens = make_feats(6)
    with pytest.raises(TooShortUttError, match="has 6 frames.*at least 7"):
        make_encoder(gate_layers=[2])(feats, lens, ctc=make_ctc())


def test_too_short_beside_a_longer_one_has_no_frames_and_harms_nobody():
    encoder = make_encoder(gate_layers=[2])
    feats, lens = make_feats(83, 3)
    ctc = make_ctc()
    alone = encoder.encode_frames(feats[:1], lens[:1], ctc)
    both = encoder.encode_frames(feats, lens, ctc)
    assert both.lens.tolist() == [int(alone.lens), 0]
    assert both.states.isfinite().all()
    torch.testing.assert_close(both.states[:1], alone.states, rtol=0, atol=1e-10)
