"""What a CTC search returns, and what every search promises.

Searches take numpy arrays, or tensors on the CPU, which numpy can look at: so the
runtime of exported models decodes by the same code, without torch.
"""

from dataclasses import dataclass
from typing import List, Protocol

import numpy as np

BLANK = 0


@dataclass(frozen=True)
class TokenPath:
    """Tokens of one hypothesis and the frames they come from.

    Args:
        token_int: Token ids without blanks and repetitions.
        start: First original frame of each token's run.
        end: Last original frame (inclusive) of each token's run.
        confidence: Posterior of each token at the frame of its run where that is
            highest, 0 to 1.
        score: Log-probability (natural logarithm), as the search defines it.
    """

    token_int: List[int]
    start: List[int]
    end: List[int]
    confidence: List[float]
    score: float


class CTCSearch(Protocol):
    """Search of one utterance's kept frames."""

    def __call__(
        self, log_probs: np.ndarray, kept_index: np.ndarray, skipped_score: float = 0.0
    ) -> List[TokenPath]:
        """Find the most probable token sequences.

        A run of skipped frames between two kept ones acts as one blank: equal
        tokens on both sides of it stay two.

        Args:
            log_probs: Log-probabilities (N, V) of the kept frames, N >= 0.
            kept_index: Original frames (N,) of the rows, strictly increasing.
            skipped_score: Log-probability that all skipped frames are blank, where
                it is known; it only enters the scores.

        Returns:
            Hypotheses, best first: at least one, at most as many as the search was
            built to return.

        Raises:
            ValueError: The two lengths differ or the frames do not increase.
        """


def gaps_after(log_probs: np.ndarray, kept_index: np.ndarray) -> np.ndarray:
    """Return where skipped frames lie between a kept frame and the next.

    Args:
        log_probs: Log-probabilities (N, V) of the kept frames.
        kept_index: Original frames (N,) of the rows.

    Returns:
        Whether frames were skipped right after row i, bool (max(0, N - 1),).

    Raises:
        ValueError: The two lengths differ or the frames do not increase.
    """
    if len(log_probs) != len(kept_index):
        raise ValueError(
            f"kept_index has {len(kept_index)} frames, log_probs {len(log_probs)}"
        )
    step = np.diff(kept_index)
    if (step <= 0).any():
        raise ValueError("kept_index must be strictly increasing")
    return step > 1


def collapse(
    labels: np.ndarray,
    log_probs: np.ndarray,
    kept_index: np.ndarray,
    gap: np.ndarray,
    score: float,
) -> TokenPath:
    """Merge repetitions and drop blanks of a path through the kept frames.

    Args:
        labels: Label (N,) of each kept frame, or blank.
        log_probs: Log-probabilities (N, V) of the kept frames.
        kept_index: Original frames (N,) of the rows.
        gap: Rows followed by skipped frames, see `gaps_after`.
        score: Score of the path.

    Returns:
        The path's tokens, with frames counted on the original time axis.
    """
    if len(labels) == 0:
        return TokenPath([], [], [], [], score)
    # A gap in the original frames is a blank, so it ends a run like any change.
    ends_run = np.ones(len(labels), dtype=bool)
    ends_run[:-1] = (labels[1:] != labels[:-1]) | gap
    starts_run = np.roll(ends_run, 1)
    starts_run[0] = True
    label = labels != BLANK
    chosen = log_probs[np.arange(len(labels)), labels]
    peak = np.maximum.reduceat(chosen, starts_run.nonzero()[0])[label[starts_run]]
    return TokenPath(
        token_int=labels[starts_run & label].tolist(),
        start=kept_index[starts_run & label].tolist(),
        end=kept_index[ends_run & label].tolist(),
        confidence=np.minimum(np.exp(peak), 1.0).tolist(),
        score=score,
    )
