"""The whole encoder in a graph: stage 1, gates, stage 2 on the kept frames.

Beside `espnet_blankskip.encoders.skipping`, whose loop this mirrors. What a skipped
frame puts out is not computed: it is blank, as the gate said.
"""

from typing import NamedTuple, Optional

import torch

from espnet_blankskip.export.attention import Distances
from espnet_blankskip.export.attention_in_8_bits import DistancesIn8Bits
from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.head import Head, own_gate
from espnet_blankskip.export.layers import layers_of
from espnet_blankskip.export.mixing import AllFrames, KeptFrames
from espnet_blankskip.export.modules import CannotExport, linear
from espnet_blankskip.export.packing import Axis, widen
from espnet_blankskip.export.subsampling import embed


class Gate(NamedTuple):
    """What decides at run time which frames are skipped.

    Args:
        log_threshold: Log-probability of blank from which a frame is, (): float32.
        spike_extension: Frames kept on both sides of a spike, (): int64.
    """

    log_threshold: Value
    spike_extension: Value


class Encoded(NamedTuple):
    """What an encoder found out about a batch.

    Args:
        axis: Its time axis.
        lens: Frames of each utterance (B,).
        states: Rows of the frames that ran to the end (K, D), ready for the head,
            utterance by utterance; those of no other.
        kept: Which these are (B, T) bool.
        depth: Layers that each frame ran through (B, T); 0 on padding.
        blank_logp: Log-probability of blank at the last gate that read the frame
            (B, T), or None without a gate.
    """

    axis: Axis
    lens: Value
    states: Value
    kept: Value
    depth: Value
    blank_logp: Optional[Value]


def encode(
    g: Graph,
    encoder: torch.nn.Module,
    head: Head,
    feats: Value,
    feats_lens: Value,
    gate: Optional[Gate],
) -> Encoded:
    """Write an encoder.

    Args:
        g: The graph.
        encoder: Of ESPnet or of the plugin, in evaluation mode.
        head: The CTC head that gates and self-conditioning read.
        feats: Features (B, T_in, F).
        feats_lens: Features of each utterance (B,).
        gate: Run-time settings of the gates; None where the encoder has none.

    Raises:
        CannotExport: naming the option that cannot be exported.
    """
    gates = list(getattr(encoder, "gate_layers", ()))
    if not gates and getattr(encoder, "ctc_trim", False):
        raise CannotExport("ctc_trim=true cannot be exported")
    with g.enter("embed"):
        layers = layers_of(g, encoder)
        x, lens = embed(g, encoder.embed, feats, feats_lens)
        batch, time = x.size(0), x.size(1)
        x = x.reshape(-1, encoder.output_size())
        axis = Axis(g, batch, time)
        valid = axis.numbers < lens.unsqueeze(1)
        width = encoder.output_size()
        kind = DistancesIn8Bits if g.int8 else Distances
        distances = kind(g, time, width) if layers.relative else None
    frames = AllFrames(axis, valid, distances)
    depth = valid.as_int() * len(encoder.encoders)
    running, stale, blank_logp = valid, None, None

    for number, layer in enumerate(encoder.encoders, start=1):
        with g.enter(f"layer{number}"):
            x = layers.run(layer, x, frames)
        conditioned = (
            encoder.interctc_use_conditioning and number in encoder.interctc_layer_idx
        )
        if number not in gates and not conditioned:
            continue
        with g.enter(f"gate{number}"):
            normed = layers.intermediate_states(x)
            log_probs = head.log_softmax(normed) if conditioned else None
            if number not in gates:
                read = None
            elif encoder.gate_head == "own":
                read = own_gate(g, encoder.gate, x)
            elif conditioned:
                read = log_probs.take(0, axis=1)
            else:
                read = head.blank_logp(normed)
            if conditioned:
                posterior = g.op("Exp", log_probs)
                x = x + linear(g, encoder.conditioning_layer, posterior)
            if read is None:
                continue
            blank_logp = frames.full(read, blank_logp)
            by_frame = blank_logp.reshape(batch, -1)
            keep = (by_frame < gate.log_threshold) & running
            keep = widen(axis, keep, gate.spike_extension) & running
            depth = depth.where(keep | ~running, number)
            stale = frames.full(x, stale)
            frames = KeptFrames(
                axis,
                valid,
                keep,
                stale,
                distances,
                layers.heads,
                encoder.conv_context,
                encoder.attn_context,
                layers.conv_radius,
            )
            x = frames.frames.gather(stale)
            running = keep

    with g.enter("output"):
        x = layers.final_states(x)
        kept_rows = g.op("NonZero", frames.real.reshape(-1)).squeeze(0)
        x = x.take(kept_rows)
        if blank_logp is not None:
            blank_logp = blank_logp.reshape(batch, -1)
    return Encoded(axis, lens, x, running, depth, blank_logp)
