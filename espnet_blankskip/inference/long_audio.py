"""Audio of any length: windows that overlap, joined frame by frame at blanks.

The encoder hears windows of some seconds. Each begins on the grid of encoder frames,
so frame t of the recording is the same stretch of audio in every window that holds
it. Where two windows overlap, one cut is chosen (`cut_choice`): frames before it are
the left window's, frames from it on the right one's. It lies where both windows hear
the same tokens on both sides of it, if there is such a place, and there in the longest
blank. So no token is lost or doubled where they hear one a few frames apart; where they
hear different tokens all through the overlap, one may be.
"""

import heapq
import itertools
from dataclasses import dataclass
from typing import Iterable, Iterator, List, Sequence, Tuple

import numpy as np

from espnet_blankskip.decoding.frame_scores import FrameScores
from espnet_blankskip.decoding.hypothesis import TokenPath
from espnet_blankskip.inference.cut_choice import choose_cut

MIN_OVERLAP_SECONDS = 0.5
MAX_OVERLAP_SHARE = 0.5


@dataclass(frozen=True)
class Windowing:
    """How long audio is divided, in samples.

    Args:
        frame: Samples from one encoder frame to the next.
        length: Samples of a window; infinite: never divide.
        hop: Samples from one window to the next, a multiple of `frame`.
        fill: Samples up to which a window is filled with silence, for models that
            never heard a shorter one.
    """

    frame: int
    length: float
    hop: int
    fill: int = 0

    @classmethod
    def of_seconds(
        cls, window: float, overlap: float, frame: int, sample_rate: int
    ) -> "Windowing":
        """Divide into windows of `window` seconds that share `overlap` seconds.

        Args:
            window: Length of a window in seconds; `float("inf")` never divides.
            overlap: What two neighbours share, in seconds.
            frame: Samples from one encoder frame to the next.
            sample_rate: Samples per second.

        Raises:
            ValueError: The overlap is too short, or above half a window.
        """
        if not MIN_OVERLAP_SECONDS <= overlap <= MAX_OVERLAP_SHARE * window:
            raise ValueError(
                f"overlap_seconds={overlap:g} must lie between {MIN_OVERLAP_SECONDS} "
                f"and half of window_seconds={window:g}"
            )
        if window == float("inf"):
            return cls(frame, window, frame)
        frames = round(window * sample_rate / frame)
        shared = round(overlap * sample_rate / frame)
        return cls(frame, frames * frame, max(1, frames - shared) * frame)

    def filled(self, samples: np.ndarray) -> np.ndarray:
        """Return the samples (S,) of a window, and silence up to `fill`."""
        missing = self.fill - len(samples)
        return np.pad(samples, (0, missing)) if missing > 0 else samples

    def split(self, blocks: Iterable[np.ndarray]) -> Iterator[Tuple[int, np.ndarray]]:
        """Cut a stream of samples into windows.

        Args:
            blocks: The samples, in pieces (S,) of any length.

        Yields:
            First encoder frame and samples of each window; at least one. The last
            window ends with the audio and holds more than the overlap.
        """
        first, held = 0, np.zeros(0, np.float32)
        for block in blocks:
            held = np.concatenate([held, block]) if len(held) else block
            while len(held) > self.length:
                yield first // self.frame, held[: self.length]
                first, held = first + self.hop, held[self.hop :]
        yield first // self.frame, held


def cut_into_pieces(windows: Iterable[FrameScores]) -> Iterator[FrameScores]:
    """Take every frame of an utterance from exactly one of its windows.

    Args:
        windows: Scores of overlapping windows, in order; at least one.

    Yields:
        Pieces that follow each other without gap or overlap, from the first frame to
        the end. No more than two windows are held at a time.
    """
    left, begin = None, 0
    for right in windows:
        if left is None:
            begin = right.first
        else:
            low, high = max(begin, right.first), min(left.end, right.end)
            cut = low + choose_cut(
                left.between(low, high).labels, right.between(low, high).labels
            )
            yield left.between(begin, cut)
            begin = cut
        left = right
    yield left.between(begin, left.end)


def join_paths(
    before: Sequence[TokenPath], after: Sequence[TokenPath], nbest: int
) -> List[TokenPath]:
    """Join the best paths of two neighbouring pieces.

    Args:
        before: Best paths of everything so far, best first; empty at the beginning.
        after: Best paths of the next piece, best first.
        nbest: How many to return at most.

    Returns:
        The best of all combinations, whose scores (log-probabilities) add up.
    """
    if not before:
        return list(after[:nbest])
    best = heapq.nlargest(
        nbest, itertools.product(before, after), key=lambda p: p[0].score + p[1].score
    )
    return [_join(left, right) for left, right in best]


def _join(left: TokenPath, right: TokenPath) -> TokenPath:
    """Append a path; a token that the cut went through stays one token."""
    confidence = list(right.confidence)
    size = len(left.token_int)
    if (
        left.token_int
        and right.token_int
        and left.token_int[-1] == right.token_int[0]
        and left.end[-1] + 1 == right.start[0]
    ):
        size -= 1
        confidence[0] = max(left.confidence[-1], confidence[0])
    return TokenPath(
        token_int=[*left.token_int[:size], *right.token_int],
        start=[*left.start, *right.start[len(left.start) - size :]],
        end=[*left.end[:size], *right.end],
        confidence=[*left.confidence[:size], *confidence],
        score=left.score + right.score,
    )
