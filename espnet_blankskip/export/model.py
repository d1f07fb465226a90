"""A model in one graph: from features, or the waveform, to log-probabilities.

Inputs and outputs come in the order in which sherpa-onnx and others bind them; the
gate's two settings are inputs with defaults, which may be left away.
"""

import math
from typing import Dict, Optional

import numpy as np
import onnx
import torch
from onnx import TensorProto

from espnet_blankskip.export.encoder import Gate, encode
from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.head import Head

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
# what a skipped frame says: blank, with this log-probability of everything else
SURELY_NOT = -30.0


def build_model(
    encoder: torch.nn.Module,
    ctc: torch.nn.Module,
    prepare=None,
    input_size: Optional[int] = None,
    repeat: int = 1,
    level: Optional[float] = None,
    metadata: Optional[Dict[str, str]] = None,
    int8: bool = False,
) -> onnx.ModelProto:
    """Write a model's encoder and CTC head into a graph.

    Args:
        encoder: Of ESPnet or of the plugin, in evaluation mode.
        ctc: Its CTC head.
        prepare: From the graph's two inputs to features and their lengths
            (see `features`); None: the inputs are the encoder's.
        input_size: Features per frame; None: the first input is a waveform (B, S).
        repeat: How often every frame comes in ``log_probs``.
        level: Of one waveform at a time, which is heard to its end: what samples
            are multiplied with, unless the caller says otherwise. None: a batch.
        metadata: Stored in the model.
        int8: Compute the encoder's products in 8 bits. Gates, CTC head, attention
            scores and front-end stay float32.

    Returns:
        The model. Inputs: features (N, T_in, F) or samples (N, S), their lengths
        (N,), and with defaults log_threshold () and spike_extension (); in place of
        the lengths, with a default, level (), where that is given. Outputs:
        log_probs (N, T * repeat, V), in which skipped frames are blank;
        log_probs_lens (N,), counted in these; kept_log_probs (K, V), the same of the
        kept frames alone; depth (N, T), the layers that each frame ran through, 0 on
        padding; with gates blank_logp (N, T), the log-probability of blank at the
        last gate that read the frame.

    Raises:
        CannotExport: naming the option that cannot be exported.
    """
    g = Graph("blankskip", int8)
    if input_size is None:
        names, shape = ("speech", "speech_lens"), ["N", "S"]
    else:
        names, shape = ("feats", "feats_lens"), ["N", "T_in", input_size]
    feats = g.input(names[0], FLOAT, shape)
    if level is None:
        lens = g.input(names[1], INT, ["N"])
    else:
        lens = feats.size(1)
        feats = feats * g.input("level", FLOAT, [], level)
    gate = None
    if getattr(encoder, "gate_layers", ()):
        threshold = np.float32(math.log(encoder.blank_threshold))
        gate = Gate(
            g.input("log_threshold", FLOAT, [], threshold),
            g.input("spike_extension", INT, [], encoder.spike_extension),
        )
    if prepare is not None:
        with g.enter("features"):
            feats, lens = prepare(g, feats, lens)
    head = Head(g, ctc)
    encoded = encode(g, encoder, head, feats, lens, gate)
    with g.enter("head"):
        kept_log_probs = head.log_softmax(encoded.states)
        log_probs = _spread(g, encoded, kept_log_probs, head.vocabulary, repeat)
        lens = encoded.lens * repeat
    vocabulary = head.vocabulary
    g.output("log_probs", log_probs, FLOAT, ["N", "T_out", vocabulary])
    g.output("log_probs_lens", lens, INT, ["N"])
    g.output("kept_log_probs", kept_log_probs, FLOAT, ["K", vocabulary])
    g.output("depth", encoded.depth, INT, ["N", "T"])
    if encoded.blank_logp is not None:
        g.output("blank_logp", encoded.blank_logp, FLOAT, ["N", "T"])
    return g.to_model(metadata or {})


def _spread(
    g: Graph, encoded, kept_log_probs: Value, vocabulary: int, repeat: int
) -> Value:
    """Put the kept frames' log-probabilities in their places: (B, T * repeat, V)."""
    blank = np.full((1, vocabulary), SURELY_NOT, np.float32)
    blank[0, 0] = 0.0
    kept = encoded.kept.reshape(-1)
    place = g.op("CumSum", kept.as_int(), 0) - 1
    place = place.where(kept, kept_log_probs.size(0))
    if repeat > 1:
        place = g.op("Expand", place.unsqueeze(1), g.join(1, repeat)).reshape(-1)
    rows = g.concat(kept_log_probs, blank, axis=0).take(place)
    return rows.reshape(encoded.axis.batch, -1, vocabulary)
