"""Run an encoder, ours or a stock one, and tell which frames it kept."""

import threading
from dataclasses import replace
from typing import Optional

import torch

from espnet_blankskip.acceleration.module import Accelerated
from espnet_blankskip.decoding.features import extract_features
from espnet_blankskip.decoding.prompt import PromptTokens, embed_prompt
from espnet_blankskip.encoders import EncodedFrames
from espnet_blankskip.upstream import MultiHeadedAttention

# ESPnet's tables of positions have 5000 rows and grow while they are read; an encoder
# frame is 128 samples or more.
LONGEST_WITHOUT_GROWTH = 5000 * 128
_ONE_AT_A_TIME = threading.RLock()


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
    """Run front-end, normalization and encoder; from any number of threads.

    Args:
        model: ASR model; a stock encoder's frames all run through every layer.
        speech: Samples (B, S), padded.
        lens: Samples of each utterance (B,).
        mode: "skipping", "dense" or "intermediate".
        prompt: What the model is asked for, if it is one to be asked (OWSM-CTC).

    Returns:
        The encoder output, ready for the model's CTC head.

    Raises:
        ValueError: if the model's encoder cannot run in this mode, or has a
            post-encoder behind it that would not be heard.
    """
    short = int(lens.max()) <= LONGEST_WITHOUT_GROWTH
    if short and _is_safe_to_share(model.encoder, prompt):
        return _encode(model, speech, lens, mode, prompt)
    with _ONE_AT_A_TIME:
        return _encode(model, speech, lens, mode, prompt)


def check_post_encoder(model: torch.nn.Module) -> None:
    """Check that nothing stands between a skipping encoder and the CTC head.

    Raises:
        ValueError: A post-encoder does.
    """
    post = getattr(model, "postencoder", None)
    if post is not None and hasattr(model.encoder, "encode_frames"):
        raise ValueError(
            f"postencoder={type(post).__name__} cannot follow a blankskip "
            "encoder here, whose skipped frames it would mix with others: use ESPnet's "
            "asr_inference, or train without one"
        )


def _is_safe_to_share(encoder: torch.nn.Module, prompt: Optional[PromptTokens]) -> bool:
    """Whether threads may run an encoder at once.

    ESPnet's attention keeps its scores in an attribute while it computes; accelerated
    ones do not, nor does self-attention in our encoders.
    """
    if hasattr(encoder, "encode_frames") and prompt is None:
        return True
    attentions = [m for m in encoder.modules() if isinstance(m, MultiHeadedAttention)]
    return bool(attentions) and all(isinstance(m, Accelerated) for m in attentions)


def _encode(
    model: torch.nn.Module,
    speech: torch.Tensor,
    lens: torch.Tensor,
    mode: str,
    prompt: Optional[PromptTokens],
) -> EncodedFrames:
    if hasattr(model.encoder, "encode_frames"):
        check_post_encoder(model)
        feats, feats_lens = extract_features(model, speech, lens)
        if prompt is None:
            return model.encoder.encode_frames(feats, feats_lens, model.ctc, mode)
        with _ONE_AT_A_TIME:  # what embeds it has attention that keeps its scores
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
