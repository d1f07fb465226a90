"""What layer-skipping E-Branchformers and transformers compute, frame by frame.

The rules are those of `espnet_blankskip.encoders.naive`. An E-Branchformer layer
has two convolutions: the one that gates in cgMLP sees a skipped frame's old state
(``conv_context: stale``) or nothing (``zero``); the one that merges the branches sees
nothing there, since a skipped frame has no branch outputs. Frames of a prompt's
prefix are kept at every gate.

Slow on purpose, and about ``eval()`` mode, like its neighbour.
"""

import torch

from espnet_blankskip.encoders.naive import _attention, _input_layer, _kept


def naive_encode_layers(encoder, feats, ctc=None, prompt=None):
    """Encode one utterance with the weights and options of a blankskip encoder.

    Args:
        encoder: a blankskip_e_branchformer, blankskip_e_branchformer_ctc or
            blankskip_transformer, in eval mode.
        feats: input features (T_in, F).
        ctc: the CTC head that gates and self-conditioning read; not needed without.
        prompt: what blankskip_e_branchformer_ctc is told beside the audio.

    Returns:
        states (T, D), ready for the CTC head, and depth (T,) long, the layers that
        each frame ran through.
    """
    branches = hasattr(encoder.encoders[0], "cgmlp")
    if prompt is None or prompt.frames == 0:
        states = list(_input_layer(encoder, feats))
    else:
        states = encoder.embed(feats.unsqueeze(0), None, prompt.prefix_embeds)[0]
        states = list((states[0] if isinstance(states, tuple) else states).squeeze(0))
    prefix = 0 if prompt is None else prompt.frames
    outputs = [None] * len(states)
    depth = [len(encoder.encoders)] * len(states)
    running = list(range(len(states)))

    def after_norm(state):
        # an E-Branchformer has no option that leaves after_norm out
        return encoder.after_norm(state) if _pre_norm(encoder) else state

    for number, layer in enumerate(encoder.encoders, start=1):
        if branches:
            states = _e_branchformer_layer(
                layer, states, running, encoder.conv_context, encoder.attn_context
            )
        else:
            states = _transformer_layer(layer, states, running, encoder.attn_context)
        for t in running:
            if branches:
                states[t] = _tell(layer, states[t], prompt)
        # ESPnet's E-Branchformers show the CTC a layer's output as it is
        normed = {t: states[t] if branches else after_norm(states[t]) for t in running}
        if encoder.interctc_use_conditioning and number in encoder.interctc_layer_idx:
            for t in running:
                posterior = ctc.softmax(normed[t].view(1, 1, -1)).view(-1)
                states[t] = states[t] + encoder.conditioning_layer(posterior)
        if number in encoder.gate_layers:
            spikes = _kept(encoder, ctc, normed)
            kept = [t for t in running if t < prefix or t in spikes]
            for t in running:
                if t not in kept:
                    outputs[t], depth[t] = normed[t], number
            running = kept

    for t in running:
        outputs[t] = after_norm(states[t])
    return torch.stack(outputs), torch.tensor(depth)


def _pre_norm(encoder):
    return getattr(encoder, "normalize_before", True)


def _transformer_layer(layer, states, running, attn_context):
    """One layer: new states at the running frames, the same ones elsewhere."""
    states = list(states)

    def before(norm, state):
        return norm(state) if layer.normalize_before else state

    def after(norm, state):
        return state if layer.normalize_before else norm(state)

    heard = range(len(states)) if attn_context == "all" else running
    x = {t: before(layer.norm1, states[t]) for t in heard}
    mixed = _attention(layer.self_attn, x, running)
    for t in running:
        out = mixed[t]
        if layer.concat_after:
            out = layer.concat_linear(torch.cat([x[t], out]))
        states[t] = after(layer.norm1, states[t] + out)
        out = layer.feed_forward(before(layer.norm2, states[t]))
        states[t] = after(layer.norm2, states[t] + out)
    return states


def _e_branchformer_layer(layer, states, running, conv_context, attn_context):
    """One layer up to its second feed-forward part; same shape as above."""
    states = list(states)
    everything = range(len(states))
    collapsed = conv_context == "packed"

    if layer.feed_forward_macaron is not None:
        for t in running:
            out = layer.feed_forward_macaron(layer.norm_ff_macaron(states[t]))
            states[t] = states[t] + layer.ff_scale * out

    heard = everything if attn_context == "all" else running
    attended = {t: layer.norm_mha(states[t]) for t in heard}
    attended = _attention(layer.attn, attended, running)
    seen = everything if conv_context == "stale" else running
    gated = {t: layer.norm_mlp(states[t]) for t in seen}
    gated = _cgmlp(layer.cgmlp, gated, running, collapsed)

    branches = {t: torch.cat([attended[t], gated[t]]) for t in running}
    nearby = _depthwise(layer.depthwise_conv_fusion, branches, running, collapsed)
    for t in running:
        states[t] = states[t] + layer.merge_proj(branches[t] + nearby[t])
        if layer.feed_forward is not None:
            out = layer.feed_forward(layer.norm_ff(states[t]))
            states[t] = states[t] + layer.ff_scale * out
    return states


def _tell(layer, state, prompt):
    """The end of an E-Branchformer layer at one frame: cross-attention and norm."""
    if prompt is not None:
        state = prompt.heard_by(layer, state.view(1, 1, -1)).view(-1)
    return layer.norm_final(state)


def _cgmlp(module, x, running, collapsed):
    """Convolutional gating MLP at the running frames; frames not in x count as zero."""
    unit = module.csgu
    values, gates = {}, {}
    for t in x:
        values[t], gate = module.channel_proj1(x[t]).chunk(2)
        gates[t] = unit.norm(gate)
    gates = _depthwise(unit.conv, gates, running, collapsed)
    mixed = {}
    for t in running:
        gate = gates[t] if unit.linear is None else unit.linear(gates[t])
        mixed[t] = module.channel_proj2(values[t] * unit.act(gate))
    return mixed


def _depthwise(conv, x, running, collapsed):
    """Depthwise convolution over time at the running frames."""
    kernel = conv.weight.squeeze(1)  # (C, width)
    radius = kernel.size(1) // 2
    mixed = {}
    for place, t in enumerate(running):
        mixed[t] = conv.bias
        for offset in range(-radius, radius + 1):
            neighbour = t + offset
            if collapsed:
                inside = 0 <= place + offset < len(running)
                neighbour = running[place + offset] if inside else None
            if neighbour in x:
                mixed[t] = mixed[t] + kernel[:, radius + offset] * x[neighbour]
    return mixed
