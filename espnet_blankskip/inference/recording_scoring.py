"""Score recordings window by window and batch by batch, whatever does the scoring."""

import math
from os import PathLike
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.reading import check_samples
from espnet_blankskip.audio.stream import Audio, Speech
from espnet_blankskip.decoding.frame_scores import FrameScores, Spent
from espnet_blankskip.inference.batching import Window, batches
from espnet_blankskip.inference.long_audio import Windowing

Fail = Callable[[int, BadAudio], None]
ScoreWindows = Callable[[Sequence[Window]], Tuple[List[FrameScores], Spent]]


class WindowsTooShort(Exception):
    """The windows of a batch hold no encoder frame."""


def default_name(speech: Speech, number: Optional[int] = None) -> str:
    """Return what errors call a recording that the caller gave no name."""
    name = getattr(speech, "name", None) if hasattr(speech, "read") else speech
    if isinstance(name, (str, PathLike)):
        return str(name)
    return "utterance" if number is None else f"utterance {number}"


def score_recordings(
    score: ScoreWindows,
    audios: Dict[int, Audio],
    windowing: Windowing,
    batch_size: int,
    fail: Fail,
    min_samples: int = 1,
    volume: float = 0.0,
    mixed: bool = True,
) -> Iterator[Tuple[int, FrameScores, Spent]]:
    """Score recordings one after the other; a batch may hold the end of one and the
    beginning of the next.

    Args:
        score: From the windows of a batch to their scores, and the time these took.
        audios: Recordings by number, in the order wanted.
        windowing: How long ones are divided.
        batch_size: Largest number of windows in a batch.
        fail: Called with a recording's number and what is wrong with it. Its windows
            so far may have been yielded already.
        min_samples: Fewest samples that the model turns into a frame.
        volume: Peak that every window is scaled to; 0: as it is.
        mixed: Whether a batch may hold different lengths.

    Yields:
        Number, scores and time of each window; a batch's time is shared out by
        length of audio.
    """
    windows = _windows(audios, windowing, fail, min_samples, volume)
    for batch in batches(windows, batch_size, mixed):
        try:
            scores, spent = score(batch)
        except WindowsTooShort as error:
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
