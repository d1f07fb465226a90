"""Greedy (best path) CTC over the frames that were not skipped.

Skipped frames are blank by the gate's word, so label scores are needed for kept
frames only. A run of skipped frames acts as one blank: equal labels on both
sides of it stay two labels. Every token keeps the original frames it came from.

`greedy_on_full_output` is the definition on an output that has all of its
frames; `greedy_search` must agree with it whenever the best label of every
skipped frame is blank.
"""

import math
from typing import List

import numpy as np

from espnet_blankskip.decoding.hypothesis import BLANK, TokenPath, collapse, gaps_after


class GreedySearch:
    """The best path as the only hypothesis (a `CTCSearch`)."""

    def __call__(
        self, log_probs: np.ndarray, kept_index: np.ndarray, skipped_score: float = 0.0
    ) -> List[TokenPath]:
        """Search one utterance; see `CTCSearch`."""
        return [greedy_search(log_probs, kept_index, skipped_score)]


def greedy_on_full_output(log_probs: np.ndarray) -> TokenPath:
    """Argmax at every frame, merge repetitions, drop blanks (the definition).

    Args:
        log_probs: Log-probabilities (T, V) of all frames.

    Returns:
        The best path.
    """
    token_int, start, end, confidence = [], [], [], []
    score, previous = 0.0, BLANK
    for t, frame in enumerate(log_probs):
        best = int(frame.argmax())
        score += float(frame[best])
        if best != BLANK and best == previous:
            end[-1] = t
            confidence[-1] = max(confidence[-1], math.exp(frame[best]))
        elif best != BLANK:
            token_int.append(best)
            start.append(t)
            end.append(t)
            confidence.append(math.exp(frame[best]))
        previous = best
    return TokenPath(token_int, start, end, confidence, score)


def greedy_search(
    log_probs: np.ndarray, kept_index: np.ndarray, skipped_score: float = 0.0
) -> TokenPath:
    """Best path from the kept frames of one utterance.

    Args:
        log_probs: Log-probabilities (N, V) of the kept frames, N >= 0.
        kept_index: Original frames (N,) of the rows, strictly increasing.
        skipped_score: Sum of the blank log-probabilities of the skipped frames,
            where they are known; it only enters the score.

    Returns:
        The best path, with frames counted on the original time axis. Its score is
        the log-probability of that one path.

    Raises:
        ValueError: The two lengths differ or the frames do not increase.
    """
    log_probs, kept_index = np.asarray(log_probs), np.asarray(kept_index)
    gap = gaps_after(log_probs, kept_index)
    best = log_probs.argmax(axis=-1)
    score = float(log_probs.max(axis=-1).sum()) + float(skipped_score)
    return collapse(best, log_probs, kept_index, gap, score)
