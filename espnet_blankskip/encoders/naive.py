"""What a layer-skipping conformer computes, one frame at a time.

This is the definition that the fast path has to match, outputs and gradients. The
rules, for an utterance of T frames:

- A gate after layer K looks at the frames still running. A frame is *kept* when the
  intermediate CTC gives blank less than ``blank_threshold``, or when it lies within
  ``spike_extension`` frames, in time, of one that is; the others are *skipped*.
- A skipped frame stays as it is: its state after layer K, normalized, is its output,
  and the state before that normalization is what later layers may see of it.
- Later layers compute new states for kept frames only. Feed-forward layers look at
  one frame. Attention looks at kept frames (``attn_context: kept``) or at all of
  them (``all``), each at its true distance in time. The convolution looks at true
  neighbours: a skipped one counts with its old state (``conv_context: stale``) or
  not at all (``zero``); ``packed`` counts the kept frames as if they were adjacent.
- Beyond both ends of the utterance there is nothing.

Slow on purpose: dropout and batch statistics are left out, so it describes
``eval()`` mode; gradients flow as in any torch code.
"""

import math

import torch
import torch.nn.functional as F


def naive_encode(encoder, feats, ctc=None):
    """Encode one utterance with a BlankSkipConformerEncoder's weights and options.

    Args:
        encoder: the encoder, in eval mode.
        feats: input features (T_in, F).
        ctc: the CTC head that gates and self-conditioning read; not needed without.

    Returns:
        states (T, D), normalized, and depth (T,) long, the layers that each frame
        ran through.
    """
    after_norm = encoder.after_norm if encoder.normalize_before else torch.nn.Identity()
    states = list(_input_layer(encoder, feats))
    outputs = [None] * len(states)
    depth = [len(encoder.encoders)] * len(states)
    running = list(range(len(states)))

    for number, layer in enumerate(encoder.encoders, start=1):
        states = _conformer_layer(
            layer, states, running, encoder.conv_context, encoder.attn_context
        )
        normed = {t: after_norm(states[t]) for t in running}
        if encoder.interctc_use_conditioning and number in encoder.interctc_layer_idx:
            for t in running:
                posterior = ctc.softmax(normed[t].view(1, 1, -1)).view(-1)
                states[t] = states[t] + encoder.conditioning_layer(posterior)
        if number in encoder.gate_layers:
            kept = _kept(encoder, ctc, normed)
            for t in running:
                if t not in kept:
                    outputs[t], depth[t] = normed[t], number
            running = kept

    for t in running:
        outputs[t] = after_norm(states[t])
    return torch.stack(outputs), torch.tensor(depth)


def _input_layer(encoder, feats):
    """Subsampling and absolute positions, which no gate touches: (T, D)."""
    if hasattr(encoder.embed, "conv"):
        embedded = encoder.embed(feats.unsqueeze(0), None)[0]
    else:
        embedded = encoder.embed(feats.unsqueeze(0))
    return (embedded[0] if isinstance(embedded, tuple) else embedded).squeeze(0)


def _kept(encoder, ctc, normed):
    """The running frames that stay, in order of time."""
    spikes = [
        t
        for t, state in normed.items()
        if ctc.softmax(state.view(1, 1, -1))[0, 0, 0] < encoder.blank_threshold
    ]
    reach = encoder.spike_extension
    return [t for t in normed if any(abs(t - spike) <= reach for spike in spikes)]


def _conformer_layer(layer, states, running, conv_context, attn_context):
    """One layer: new states at the running frames, the same ones elsewhere."""
    everything = range(len(states))

    def residual(norm, scale, function, context=running):
        """x + scale f(norm(x)), or norm(x + scale f(x)) in a post-norm encoder."""
        before = norm if layer.normalize_before else torch.nn.Identity()
        after = torch.nn.Identity() if layer.normalize_before else norm
        added = function({t: before(states[t]) for t in context})
        for t in running:
            states[t] = after(states[t] + scale * added[t])

    def attention(x):
        mixed = _attention(layer.self_attn, x, running)
        if layer.concat_after:
            mixed = {t: layer.concat_linear(torch.cat([x[t], mixed[t]])) for t in mixed}
        return mixed

    def convolution(x):
        return _convolution(layer.conv_module, x, running, conv_context == "packed")

    def frame_by_frame(function):
        return lambda x: {t: function(x[t]) for t in running}

    states = list(states)
    if layer.feed_forward_macaron is not None:
        macaron = frame_by_frame(layer.feed_forward_macaron)
        residual(layer.norm_ff_macaron, layer.ff_scale, macaron)
    attended = everything if attn_context == "all" else running
    residual(layer.norm_mha, 1.0, attention, attended)
    if layer.conv_module is not None:
        seen = everything if conv_context == "stale" else running
        residual(layer.norm_conv, 1.0, convolution, seen)
    residual(layer.norm_ff, layer.ff_scale, frame_by_frame(layer.feed_forward))
    if layer.conv_module is not None:
        for t in running:
            states[t] = layer.norm_final(states[t])
    return states


def _attention(attn, x, running):
    """Each running frame attends to the frames of x (time -> (D,)), head by head."""
    relative = hasattr(attn, "linear_pos")

    def heads(vector):
        return vector.view(attn.h, attn.d_k)

    keys = {s: attn.k_norm(heads(attn.linear_k(x[s]))) for s in x}
    values = {s: heads(attn.linear_v(x[s])) for s in x}
    mixed = {}
    for t in running:
        query = attn.q_norm(heads(attn.linear_q(x[t])))
        scores = []
        for s in x:
            if not relative:
                score = query * keys[s]
            else:
                # Dai et al. 2019 (arXiv 1901.02860), equation in section 3.3
                score = (query + attn.pos_bias_u) * keys[s]
                if s <= t or not attn.zero_triu:
                    position = heads(attn.linear_pos(_sinusoid(t - s, x[t])))
                    score = score + (query + attn.pos_bias_v) * position
            scores.append(score.sum(-1) / math.sqrt(attn.d_k))
        weights = torch.softmax(torch.stack(scores), dim=0)  # (keys, heads)
        heard = sum(w.unsqueeze(1) * values[s] for w, s in zip(weights, x))
        mixed[t] = attn.linear_out(heard.reshape(-1))
    return mixed


def _sinusoid(distance, like):
    """Encoding of a distance in frames, positive to the left, shaped as ``like``."""
    size = like.numel()
    angles = [distance / 10000 ** (2 * i / size) for i in range(size // 2)]
    waves = [wave(angle) for angle in angles for wave in (math.sin, math.cos)]
    return like.new_tensor(waves)


def _convolution(module, x, running, collapsed):
    """Convolution module at the running frames; frames not in x count as nothing."""

    def pointwise(conv, vector):
        return F.linear(vector, conv.weight.squeeze(-1), conv.bias)

    gated = {t: F.glu(pointwise(module.pointwise_conv1, x[t]), dim=-1) for t in x}
    conv, norm = module.depthwise_conv, module.norm
    kernel = conv.weight.squeeze(1)  # (D, width)
    radius = kernel.size(1) // 2
    mixed = {}
    for place, t in enumerate(running):
        h = conv.bias
        for offset in range(-radius, radius + 1):
            neighbour = t + offset
            if collapsed:
                inside = 0 <= place + offset < len(running)
                neighbour = running[place + offset] if inside else None
            if neighbour in gated:
                h = h + kernel[:, radius + offset] * gated[neighbour]
        h = (h - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
        h = module.activation(h * norm.weight + norm.bias)
        mixed[t] = pointwise(module.pointwise_conv2, h)
    return mixed
