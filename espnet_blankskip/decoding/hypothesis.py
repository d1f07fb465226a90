"""What a CTC search returns, and what every search promises."""

from dataclasses import dataclass
from typing import List, Protocol

import torch
from torch import Tensor

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
        self, log_probs: Tensor, kept_index: Tensor, skipped_score: float = 0.0
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


def gaps_after(log_probs: Tensor, kept_index: Tensor) -> Tensor:
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
    step = kept_index[1:] - kept_index[:-1]
    if bool((step <= 0).any()):
        raise ValueError("kept_index must be strictly increasing")
    return step > 1


def collapse(
    labels: Tensor, log_probs: Tensor, kept_index: Tensor, gap: Tensor, score: float
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
    ends_run = torch.ones_like(labels, dtype=torch.bool)
    ends_run[:-1] = (labels[1:] != labels[:-1]) | gap
    starts_run = ends_run.roll(1)
    starts_run[0] = True
    label = labels != BLANK
    run = starts_run.cumsum(0) - 1
    peak = torch.full((int(run[-1]) + 1,), -torch.inf, dtype=log_probs.dtype)
    chosen = log_probs.gather(1, labels[:, None])[:, 0]
    peak.scatter_reduce_(0, run, chosen, "amax")
    return TokenPath(
        token_int=labels[starts_run & label].tolist(),
        start=kept_index[starts_run & label].tolist(),
        end=kept_index[ends_run & label].tolist(),
        confidence=peak[run[starts_run & label]].exp().clamp(max=1.0).tolist(),
        score=score,
    )
