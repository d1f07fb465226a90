"""Run an encoder, ours or a stock one, and tell which frames it kept."""

from dataclasses import replace
from typing import Optional

import torch

from espnet_blankskip.decoding.features import extract_features
from espnet_blankskip.decoding.prompt import PromptTokens, embed_prompt
from espnet_blankskip.encoders import EncodedFrames


def encoder_layers(encoder: torch.nn.Module) -> int:
    """Return the number of layers of an ESPnet encoder (1 if it has no list)."""
    return len(getattr(encoder, "encoders", (None,)))


def encode(
    model: torch.nn.Module,
    speech: torch.Tensor,
    lens: torch.Tensor,
    mode: str,
    prompt: Optional[PromptTokens] = None,
) -> EncodedFrames:
    """Run front-end, normalization and encoder.

    Args:
        model: ASR model; a stock encoder's frames all run through every layer.
        speech: Samples (B, S), padded.
        lens: Samples of each utterance (B,).
        mode: "skipping", "dense" or "intermediate".
        prompt: What the model is asked for, if it is one to be asked (OWSM-CTC).

    Returns:
        The encoder output, ready for the model's CTC head.

    Raises:
        ValueError: if the model's encoder cannot run in this mode.
    """
    if hasattr(model.encoder, "encode_frames"):
        feats, feats_lens = extract_features(model, speech, lens)
        if prompt is None:
            return model.encoder.encode_frames(feats, feats_lens, model.ctc, mode)
        told = embed_prompt(model, prompt, len(lens))
        encoded = model.encoder.encode_frames(feats, feats_lens, model.ctc, mode, told)
        return replace(encoded, prefix=told.frames)
    if mode != "dense":
        name = type(model.encoder).__name__
        raise ValueError(f"mode={mode} needs a blankskip encoder, not {name}")
    states, lens = model.encode(speech, lens)
    states, intermediate = states if isinstance(states, tuple) else (states, [])
    valid = torch.arange(states.size(1), device=lens.device) < lens[:, None]
    depth = valid.long() * encoder_layers(model.encoder)
    return EncodedFrames(states, lens, depth, valid, None, intermediate)
