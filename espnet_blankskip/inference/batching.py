"""Windows of speech, and which of them share a batch."""

from typing import Iterable, Iterator, List, NamedTuple, Optional

import numpy as np

# Padding costs as much as speech: at most this share of a batch.
MAX_PADDING = 0.1


class Window(NamedTuple):
    """A stretch of one recording.

    Args:
        recording: Number of the recording in the caller's list.
        first: Encoder frame that it begins with, counted in the recording.
        samples: Audio (S,) at the model's rate.
        frames: Encoder frames that are audio, where silence was added behind it.
    """

    recording: int
    first: int
    samples: np.ndarray
    frames: Optional[int] = None


def batches(
    windows: Iterable[Window], batch_size: int, mixed: bool = True
) -> Iterator[List[Window]]:
    """Put neighbours of similar length together, in the order given.

    Args:
        windows: The windows; sorted by length they fill more of each batch.
        batch_size: Largest number of windows in a batch.
        mixed: Allow different lengths, up to `MAX_PADDING`; else equal ones only.

    Yields:
        Lists of windows.
    """
    batch: List[Window] = []
    for window in windows:
        lengths = [len(w.samples) for w in (*batch, window)]
        allowed = MAX_PADDING if mixed else 0.0
        padding = 1 - sum(lengths) / (max(lengths) * len(lengths))
        if batch and (len(batch) == batch_size or padding > allowed):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
