"""Contract 3: an utterance's result does not depend on what it is batched with."""

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

LENS = (83, 7, 61, 8, 35, 82)  # 7 is the shortest that conv2d takes
GATED = dict(gate_layers=[2, 4])
CASES = {
    "dense": {},
    "dense_post_norm": dict(normalize_before=False),
    "stale_kept": dict(GATED),
    "stale_all": dict(GATED, attn_context="all"),
    "zero_kept": dict(GATED, conv_context="zero", spike_extension=0),
    "packed_all": dict(GATED, conv_context="packed", attn_context="all"),
    "linear": dict(GATED, input_layer="linear"),
    "conv2d1": dict(GATED, input_layer="conv2d1"),
    "conv2d2": dict(GATED, input_layer="conv2d2"),
    "conv2d6": dict(GATED, input_layer="conv2d6"),
    "conv2d8": dict(GATED, input_layer="conv2d8"),
    "abs_pos": dict(
        GATED, pos_enc_layer_type="abs_pos", selfattention_layer_type="selfattn"
    ),
    "post_norm": dict(GATED, normalize_before=False),
    "conditioning": dict(
        GATED, interctc_layer_idx=[1, 3], interctc_use_conditioning=True
    ),
}


@pytest.fixture(params=CASES, scope="module")
def batch(request):
    """Encoder, head, padded batch, lengths, mode."""
    torch.manual_seed(0)
    options = CASES[request.param]
    encoder = make_encoder(**options)
    if encoder.interctc_use_conditioning:
        encoder.conditioning_layer = torch.nn.Linear(VOCAB, WIDTH).double()
    short = {"conv2d6": 11, "conv2d8": 15}.get(options.get("input_layer"), 7)
    feats, lens = make_feats(*(max(short, n) for n in LENS))
    if encoder.gate_layers:
        return encoder, splitting_ctc(encoder, feats, lens), feats, lens, "skipping"
    return encoder, make_ctc(), feats, lens, "dense"


def encode(batch, feats, lens):
    encoder, ctc, _, _, mode = batch
    return encoder.encode_frames(feats, lens, ctc, mode)


@torch.no_grad()
def test_batched_equals_single(batch):
    feats, lens = batch[2:4]
    together = encode(batch, feats, lens)
    for row, length in enumerate(lens):
        alone = encode(batch, feats[row : row + 1, :length], lens[row : row + 1])
        frames = int(alone.lens)
        assert int(together.lens[row]) == frames == alone.states.size(1)
        assert together.depth[row, :frames].equal(alone.depth[0])
        assert not together.depth[row, frames:].any()
        pairs = [(together.states, alone.states)]
        if alone.blank_logp is not None:
            pairs.append((together.blank_logp, alone.blank_logp))
        for (n, ours), (m, single) in zip(together.intermediate, alone.intermediate):
            assert n == m
            pairs.append((ours, single))
        for ours, single in pairs:
            torch.testing.assert_close(
                ours[row, :frames], single[0], rtol=0, atol=1e-10
            )


@torch.no_grad()
def test_content_of_padding_is_never_seen(batch):
    feats, lens = batch[2:4]
    padding = torch.arange(feats.size(1)) >= lens.unsqueeze(1)
    garbage = torch.where(padding.unsqueeze(-1), 1e3 * torch.randn_like(feats), feats)
    clean, dirty = encode(batch, feats, lens), encode(batch, garbage, lens)
    assert clean.depth.equal(dirty.depth)
    for row, frames in enumerate(clean.lens):
        ours, theirs = clean.states[row, :frames], dirty.states[row, :frames]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_gradient_of_a_batch_is_the_sum_over_its_utterances(batch):
    encoder, ctc, feats, lens, _ = batch
    parameters = list(encoder.parameters()) + list(ctc.parameters())

    def gradients(chosen):
        width = int(lens[chosen].max())
        x = feats[chosen, :width].clone().requires_grad_()
        encoded = encode(batch, x, lens[chosen])
        valid = encoded.depth > 0
        loss = encoded.states[valid].pow(3).sum()
        grads = torch.autograd.grad(loss, [x] + parameters, allow_unused=True)
        return [torch.zeros(1) if g is None else g for g in grads]

    batched = gradients(list(range(len(lens))))
    single = [gradients([row]) for row in range(len(lens))]
    for row, grads in enumerate(single):
        length = int(lens[row])
        torch.testing.assert_close(
            batched[0][row, :length], grads[0][0], rtol=1e-8, atol=1e-8
        )
        assert not batched[0][row, length:].any(), "padding must get no gradient"
    for position in range(1, len(batched)):
        want = sum(grads[position] for grads in single)
        torch.testing.assert_close(batched[position], want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("threshold", [0.6, 0.95, 1.1])
@torch.no_grad()
def test_training_statistics_ignore_padding(threshold):
    """Batch norm in training mode must not average over padding either."""
    feats, lens = make_feats(83, 35)
    longer = torch.nn.functional.pad(feats, (0, 0, 0, 60), value=5.0)
    means = []
    for padded in (feats, longer):
        encoder = make_encoder(gate_layers=[2], blank_threshold=threshold).train()
        encoder(padded, lens, ctc=make_ctc())
        means.append(
            torch.stack([m.conv_module.norm.running_mean for m in encoder.encoders])
        )
    torch.testing.assert_close(*means, rtol=0, atol=1e-12)
