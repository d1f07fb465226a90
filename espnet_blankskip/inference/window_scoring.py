"""Run a torch model on a batch of windows."""

import time
from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch

from espnet_blankskip.decoding.frame_scores import FrameScores, Spent, frame_scores
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.decoding.prompt import PromptTokens
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.inference.recording_scoring import WindowsTooShort
from espnet_blankskip.upstream import TooShortUttError


@torch.no_grad()
def score_windows(
    model: torch.nn.Module,
    windows: Sequence[Window],
    mode: str,
    prompt: Optional[PromptTokens] = None,
) -> Tuple[List[FrameScores], Spent]:
    """Run the model on one batch.

    Args:
        model: ASR model in evaluation mode.
        windows: Stretches of speech.
        mode: "skipping", "dense" or "intermediate".
        prompt: What the model is asked for, if it is one to be asked.

    Returns:
        Scores of each window's frames, those of a prompt in front, and the time for
        all of them.

    Raises:
        WindowsTooShort: The longest window gives no frame.
    """
    lens = torch.tensor([len(window.samples) for window in windows])
    padded = np.zeros((len(windows), int(lens.max())), np.float32)
    for row, window in zip(padded, windows):
        row[: len(window.samples)] = window.samples
    weight = next(model.parameters())
    speech = torch.from_numpy(padded).to(weight.device, weight.dtype)
    begin = _now(weight.device)
    try:
        encoded = encode(model, speech, lens.to(weight.device), mode, prompt)
    except TooShortUttError as error:
        raise WindowsTooShort(str(error)) from None
    encoder_seconds = _now(weight.device) - begin
    scores = frame_scores(model.ctc, encoded, [window.first for window in windows])
    return scores, Spent(encoder_seconds, _now(weight.device) - begin)


def _now(device: torch.device) -> float:
    """Return a clock in seconds, with the device's work so far done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
