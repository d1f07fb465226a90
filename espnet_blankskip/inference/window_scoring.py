"""Run the model over recordings, window by window and batch by batch."""

import math
import time
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

from espnet_blankskip.audio.reading import BadAudio, check_samples
from espnet_blankskip.audio.stream import Audio
from espnet_blankskip.decoding.frame_scores import FrameScores, Spent, frame_scores
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.decoding.prompt import PromptTokens
from espnet_blankskip.inference.batching import Window, batches
from espnet_blankskip.inference.long_audio import Windowing
from espnet_blankskip.upstream import TooShortUttError

Fail = Callable[[int, BadAudio], None]


def score_recordings(
    model: torch.nn.Module,
    audios: Dict[int, Audio],
    windowing: Windowing,
    batch_size: int,
    mode: str,
    fail: Fail,
    min_samples: int = 1,
    volume: float = 0.0,
    prompt: Optional[PromptTokens] = None,
) -> Iterator[Tuple[int, FrameScores, Spent]]:
    """Score recordings one after the other; a batch may hold the end of one and the
    beginning of the next.

    Args:
        model: ASR model in evaluation mode.
        audios: Recordings by number, in the order wanted.
        windowing: How long ones are divided.
        batch_size: Largest number of windows in a batch.
        mode: "skipping", "dense" or "intermediate".
        fail: Called with a recording's number and what is wrong with it. Its windows
            so far may have been yielded already.
        min_samples: Fewest samples that the model turns into a frame.
        volume: Peak that every window is scaled to; 0: as it is.
        prompt: As for `score_windows`. Its frames stay in front of the first window.

    Yields:
        Number, scores and time of each window; a batch's time is shared out by
        length of audio.
    """
    windows = _windows(audios, windowing, fail, min_samples, volume)
    # Only the plugin's encoders keep padding out of their neighbours.
    mixed = hasattr(model.encoder, "encode_frames")
    for batch in batches(windows, batch_size, mixed):
        try:
            scores, spent = score_windows(model, batch, mode, prompt)
        except TooShortUttError as error:
            for window in batch:
                name = audios[window.recording].utt_id
                fail(window.recording, BadAudio(name, f"too short: {error}"))
            continue
        samples = sum(len(window.samples) for window in batch)
        for window, frames in zip(batch, scores):
            share = len(window.samples) / samples
            frames = _of_audio(frames, window)
            yield window.recording, frames, Spent(*(share * s for s in spent))


def _of_audio(scores: FrameScores, window: Window) -> FrameScores:
    """Leave out the prompt, but for the first window's, and silence that was added."""
    begin = scores.first if window.first == 0 else window.first
    end = scores.end
    if window.frames is not None:
        end = min(end, window.first + window.frames)
    if (begin, end) == (scores.first, scores.end):
        return scores  # nothing to copy
    return scores.between(begin, end)


def _windows(
    audios: Dict[int, Audio],
    windowing: Windowing,
    fail: Fail,
    min_samples: int,
    volume: float,
) -> Iterator[Window]:
    for i, audio in audios.items():
        try:
            for first, samples in windowing.split(audio.blocks()):
                check_samples(samples, audio.utt_id, min_samples)
                peak = np.abs(samples).max() if volume else 0.0
                if peak > 0:
                    samples = samples * np.float32(volume / peak)
                if not windowing.fill:
                    yield Window(i, first, samples)
                    continue
                frames = math.ceil(len(samples) / windowing.frame)
                yield Window(i, first, windowing.filled(samples), frames)
        except BadAudio as error:
            fail(i, error)


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
        TooShortUttError: The longest window gives no frame.
    """
    lens = torch.tensor([len(window.samples) for window in windows])
    padded = np.zeros((len(windows), int(lens.max())), np.float32)
    for row, window in zip(padded, windows):
        row[: len(window.samples)] = window.samples
    weight = next(model.parameters())
    speech = torch.from_numpy(padded).to(weight.device, weight.dtype)
    begin = _now(weight.device)
    encoded = encode(model, speech, lens.to(weight.device), mode, prompt)
    encoder_seconds = _now(weight.device) - begin
    scores = frame_scores(model.ctc, encoded, [window.first for window in windows])
    return scores, Spent(encoder_seconds, _now(weight.device) - begin)


def _now(device: torch.device) -> float:
    """Return a clock in seconds, with the device's work so far done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
