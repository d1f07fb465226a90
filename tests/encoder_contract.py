"""The contract that every encoder on the shared engine has to keep, as checks.

A *maker* is a function from encoder options to an encoder in eval mode; the checks
take what it made. ``prompt`` is for the encoder that listens to one.
"""

from types import SimpleNamespace

import torch
from tiny_encoders import VOCAB, WIDTH, _settle, make_ctc, make_feats, splitting_ctc

from espnet_blankskip.encoders.naive_branches import naive_encode_layers

CONTEXTS = {
    f"{conv}-{attn}-gates{gates}-ext{extension}": dict(
        conv_context=conv,
        attn_context=attn,
        gate_layers=gates,
        spike_extension=extension,
    )
    for conv in ("stale", "zero", "packed")
    for attn in ("kept", "all")
    for gates, extension in (([2], 1), ([2, 4], 0))
}


def build(encoder_class, options, seed=0, dtype=torch.float64):
    """An encoder in eval mode with strong random layers."""
    torch.manual_seed(seed)
    encoder = encoder_class(**options)
    if encoder.interctc_use_conditioning:
        encoder.conditioning_layer = torch.nn.Linear(VOCAB, WIDTH)
    return _settle(encoder).to(dtype)


def prompted(encoder, prompt):
    """What ``splitting_ctc`` needs of an encoder, with the prompt already told."""
    if prompt is None:
        return encoder

    def encode_frames(*args):
        return encoder.encode_frames(*args, prompt=prompt)

    return SimpleNamespace(
        gate_layers=encoder.gate_layers,
        num_blocks=encoder.num_blocks,
        blank_threshold=encoder.blank_threshold,
        encode_frames=encode_frames,
    )


def check_equal_to_stock(ours, theirs, frames=83, **inputs):
    """Bit for bit the stock encoder where nothing is skipped, in eval mode."""
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(frames, dtype=torch.float32)
    ctc = make_ctc(dtype=torch.float32)
    with torch.no_grad():
        got, got_lens, got_layers = _split(ours(feats, lens, ctc=ctc, **inputs))
        want, want_lens, want_layers = _split(theirs(feats, lens, ctc=ctc, **inputs))
    assert got.equal(want)
    assert got_lens.equal(want_lens)
    assert set(got_layers) == set(want_layers) | set(ours.gate_layers)
    for layer, states in want_layers.items():
        assert got_layers[layer].equal(states)


def check_parity(encoder, frames=58, prompt=None, factorized=False):
    """The fast path is the definition: outputs, depths, every gradient.

    ESPnet keeps its table of relative positions in float32: hence 1e-6.
    """
    feats, lens = make_feats(frames)
    ctc = splitting_ctc(prompted(encoder, prompt), feats, lens, factorized)
    modules = torch.nn.ModuleList([encoder, ctc])
    weights = torch.randn(100, WIDTH, dtype=torch.float64)

    def run(encode):
        modules.zero_grad()
        x = feats.clone().requires_grad_()
        states, depth = encode(x)
        ((states * weights[: len(states)]).sum() + states.square().sum()).backward()
        grads = {n: p.grad for n, p in modules.named_parameters()}
        return states.detach(), depth, dict(grads, feats=x.grad)

    def fast(x):
        encoded = encoder.encode_frames(x, lens, ctc, prompt=prompt)
        return encoded.states[0], encoded.depth[0]

    states, depth, grads = run(fast)
    want_states, want_depth, want_grads = run(
        lambda x: naive_encode_layers(encoder, x[0], ctc, prompt)
    )
    left_at = set(encoder.gate_layers) | {encoder.num_blocks}
    assert set(depth.tolist()) == left_at, "the gates must really split the frames"
    assert depth.equal(want_depth)
    torch.testing.assert_close(states, want_states, rtol=1e-6, atol=1e-6)
    for name, want in want_grads.items():
        if want is None:
            # the definition does not run what has no influence on the output
            assert grads[name] is None or not grads[name].any(), name
        else:
            error = float((grads[name] - want).abs().max())
            assert error <= 1e-6 * (1 + float(want.abs().max())), (name, error)


@torch.no_grad()
def check_batched_equals_single(encoder, lengths, prompt=None, alone=None):
    """Neither neighbours nor the content of padding change a result.

    Args:
        encoder: the encoder.
        lengths: input frames of each utterance.
        prompt: what the batch is told.
        alone: row -> what the utterance of that row is told by itself.
    """
    feats, lens = make_feats(*lengths)
    padding = torch.arange(feats.size(1)) >= lens.unsqueeze(1)
    ctc = make_ctc()
    mode = "dense"
    if encoder.gate_layers:
        mode = "skipping"
        ctc = splitting_ctc(prompted(encoder, prompt), feats, lens)
    feats[padding] = 1e3
    together = encoder.encode_frames(feats, lens, ctc, mode, prompt)
    for row, length in enumerate(lens):
        told = None if alone is None else alone(row)
        x = feats[row : row + 1, :length]
        single = encoder.encode_frames(x, lens[row : row + 1], ctc, mode, told)
        frames = int(single.lens)
        assert int(together.lens[row]) == frames == single.states.size(1)
        assert together.depth[row, :frames].equal(single.depth[0])
        assert not together.depth[row, frames:].any()
        pairs = [(together.states, single.states)]
        pairs += [
            (ours, theirs)
            for (_, ours), (_, theirs) in zip(
                together.intermediate, single.intermediate
            )
        ]
        for ours, theirs in pairs:
            torch.testing.assert_close(
                ours[row, :frames], theirs[0], rtol=0, atol=1e-10
            )


def check_any_number_of_kept_frames(encoder, lengths, kept, prompt=None, **inputs):
    """Nothing, everything or one frame kept: finite, and all parameters learn."""
    feats, lens = make_feats(*lengths)
    ctc = make_ctc()
    prefix = 0 if prompt is None else prompt.frames
    with torch.no_grad():
        if kept == "one":
            ctc.ctc_lo.bias[0] += 4.0
            encoder.set_gate(spike_extension=0)
            gate = encoder.encode_frames(feats, lens, ctc, "intermediate", prompt)
            blank = ctc.softmax(gate.states)[:, prefix:, 0]
            blank = blank[gate.depth[:, prefix:] > 0].sort().values
            encoder.set_gate(blank_threshold=float(blank[:2].mean().clamp(min=0.5)))
        else:
            ctc.ctc_lo.bias[0] += 40.0 if kept == "nothing" else -40.0
    encoded = encoder.encode_frames(feats, lens, ctc, prompt=prompt)
    passed = int((encoded.depth > encoder.gate_layers[0]).sum()) - prefix * len(lens)
    frames = int(encoded.lens.sum()) - prefix * len(lens)
    assert passed == {"nothing": 0, "one": 1, "everything": frames}[kept]
    assert encoded.states.isfinite().all()

    encoder.train()
    (states, _), olens, _ = encoder(feats, lens, ctc=ctc, **inputs)
    assert olens.equal(encoded.lens)
    ctc.log_softmax(states)[encoded.depth > 0].sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, f"{name} got no gradient"
        assert parameter.grad.isfinite().all(), name


def _split(output):
    """Encoder output as states, lengths and {layer: intermediate states}."""
    states, lens, _ = output
    states, intermediate = states if isinstance(states, tuple) else (states, [])
    return states, lens, dict(intermediate)
