"""How far two models' CTC posteriors lie apart on the same sound."""

from typing import Callable, Dict, List, Tuple

import numpy as np
import torch

from espnet_blankskip.decoding.kept_frames import encode

# reading ("final", "layer 6") -> log-probabilities (T, V)
Readings = Dict[str, torch.Tensor]


@torch.no_grad()
def read_posteriors(model: torch.nn.Module, samples: np.ndarray) -> Readings:
    """Log-probabilities of a dense pass over one utterance (S,), blank first."""
    states, intermediate = dense_states(model, samples)
    readings = {"final": model.ctc.log_softmax(states)[0]}
    for layer, states in intermediate:
        readings[f"layer {layer}"] = model.ctc.log_softmax(states)[0]
    return readings


@torch.no_grad()
def dense_states(model: torch.nn.Module, samples: np.ndarray):
    """States of a dense pass of a blankskip or stock model over samples (S,).

    Returns:
        Final states (1, T, D), and a list of (layer, states (1, T, D)).
    """
    speech = torch.from_numpy(samples).unsqueeze(0)
    encoded = encode(model, speech, torch.tensor([len(samples)]), "dense")
    return encoded.states, encoded.intermediate


def compare(
    reference: Callable[[np.ndarray], Readings],
    other: Callable[[np.ndarray], Readings],
    utterances: List[np.ndarray],
    threshold: float,
) -> Dict[str, Dict[str, float]]:
    """Compare two models reading by reading.

    Args:
        reference: gives the readings of an utterance.
        other: the same for the other model.
        utterances: samples (S,) each.
        threshold: blank probability from which a frame would be skipped.

    Returns:
        For each reading that both have: "frames", "mean_kl" in nats
        (reference || other), and the shares of frames with the same
        "argmax_agreement" and the same "blank_decision_agreement".
    """
    sums: Dict[str, np.ndarray] = {}
    for samples in utterances:
        theirs, ours = reference(samples), other(samples)
        for name in theirs:
            if name in ours:
                row = _differences(theirs[name], ours[name], threshold)
                sums[name] = sums.get(name, 0) + np.array(row)
    return {
        name: {
            "frames": int(frames),
            "mean_kl": float(kl / frames),
            "argmax_agreement": float(best / frames),
            "blank_decision_agreement": float(blank / frames),
        }
        for name, (frames, kl, best, blank) in sums.items()
    }


def _differences(p: torch.Tensor, q: torch.Tensor, threshold: float) -> Tuple:
    p, q = p.double(), q.double()
    kl = (p.exp() * (p - q)).sum(-1)
    best = p.argmax(-1) == q.argmax(-1)
    decided = (p[:, 0].exp() >= threshold) == (q[:, 0].exp() >= threshold)
    return len(p), float(kl.sum()), int(best.sum()), int(decided.sum())


@torch.no_grad()
def skipping_report(
    model: torch.nn.Module, utterances: List[np.ndarray]
) -> Dict[str, float]:
    """What skipping does to a model's best symbols, against its own dense pass.

    Returns:
        "kept_ratio", and "argmax_agreement" over all frames.
    """
    kept = frames = agree = 0
    for samples in utterances:
        speech = torch.from_numpy(samples).unsqueeze(0)
        lens = torch.tensor([len(samples)])
        dense = encode(model, speech, lens, "dense")
        skipping = encode(model, speech, lens, "skipping")
        best, other = (
            model.ctc.log_softmax(encoded.states)[0].argmax(-1)
            for encoded in (dense, skipping)
        )
        agree += int((best == other).sum())
        kept += int(skipping.kept.sum())
        frames += len(best)
    return {
        "kept_ratio": kept / max(1, frames),
        "argmax_agreement": agree / max(1, frames),
    }
