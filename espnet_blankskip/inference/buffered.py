"""Long audio as ESPnet's inference of OWSM-CTC divides it.

Buffers of equal length overlap by twice the context, and of each its middle is taken.
The plugin's own windows (`long_audio`) cut in pauses instead; this is for results that
are to be compared with ESPnet's.
"""

import math
from typing import Iterator, Tuple

import numpy as np
import torch

from espnet_blankskip.decoding.frame_scores import FrameScores
from espnet_blankskip.decoding.prompt import PromptTokens
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.inference.long_audio import Windowing
from espnet_blankskip.inference.window_scoring import Spent, score_windows


def context_frames(context: float, windowing: Windowing, sample_rate: int) -> int:
    """Return a context in encoder frames.

    Args:
        context: What is heard on both sides of a buffer's middle, in seconds.
        windowing: Its `length` is that of a buffer.
        sample_rate: Samples per second.

    Raises:
        ValueError: The context is no whole number of frames, or leaves no middle.
    """
    shift = windowing.frame / sample_rate
    frames = context / shift
    seconds = windowing.length / sample_rate
    if not (1 <= frames and 2 * context < seconds < math.inf):
        raise ValueError(
            f"context_len_in_secs={context:g} must lie between one encoder frame "
            f"({shift:g} s) and half a buffer of {seconds:g} s"
        )
    if not math.isclose(frames, round(frames), abs_tol=1e-6):
        raise ValueError(
            f"context_len_in_secs={context:g} must be a multiple of {shift:g} s, an "
            "encoder frame"
        )
    return round(frames)


def score_buffers(
    model: torch.nn.Module,
    samples: np.ndarray,
    windowing: Windowing,
    context: int,
    batch_size: int,
    mode: str,
    prompt: PromptTokens,
) -> Iterator[Tuple[FrameScores, Spent]]:
    """Score a recording buffer by buffer.

    Args:
        model: Model in evaluation mode.
        samples: Audio (S,).
        windowing: Its `length` is that of a buffer.
        context: Encoder frames on both sides of a buffer's middle.
        batch_size: Buffers at a time.
        mode: "skipping", "dense" or "intermediate".
        prompt: What the model is asked for, or None.

    Yields:
        Scores of each buffer's middle, and the time they took; they follow each other
        without gap or overlap.
    """
    frame, length = windowing.frame, int(windowing.length)
    middle = length // frame - 2 * context
    end = round(len(samples) / frame)
    shift = 0
    if prompt is not None and not hasattr(model, "frames"):
        # until 202604 ESPnet took the prompt's frames for audio, and silence behind
        # the recording for a part of it
        shift, end = len(prompt.prefix), math.inf
    padded = np.pad(samples, context * frame)
    windows = []
    for first in range(0, len(padded), middle * frame):
        buffer = padded[first : first + length]
        missing = length - len(buffer)
        begin = first // frame - context
        windows.append(Window(0, begin, np.pad(buffer, (0, missing))))
        if missing:
            break
    for start in range(0, len(windows), batch_size):
        batch = windows[start : start + batch_size]
        scores, spent = score_windows(model, batch, mode, prompt)
        for window, frames in zip(batch, scores):
            begin = window.first + context
            stop = min(begin + middle, end)
            if stop > begin:
                share = Spent(*(s / len(batch) for s in spent))
                yield frames.between(begin - shift, stop - shift), share
