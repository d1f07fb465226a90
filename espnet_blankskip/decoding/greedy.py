"""Greedy (best path) CTC over the frames that were not skipped.

Skipped frames are blank by the gate's word, so label scores are needed for kept
frames only. A run of skipped frames acts as one blank: equal labels on both
sides of it stay two labels. Every token keeps the original frames it came from.

`greedy_on_full_output` is the definition on an output that has all of its
frames; `greedy_search` must agree with it whenever the best label of every
skipped frame is blank.
"""

from dataclasses import dataclass
from typing import List

import torch


@dataclass(frozen=True)
class GreedyHypothesis:
    """Best path of one utterance.

    Args:
        token_int: Token ids without blanks and repetitions.
        start: First original frame of each token's run.
        end: Last original frame (inclusive) of each token's run.
        score: Log-probability of the best path.
    """

    token_int: List[int]
    start: List[int]
    end: List[int]
    score: float


def greedy_on_full_output(log_probs: torch.Tensor, blank: int = 0) -> GreedyHypothesis:
    """Argmax at every frame, merge repetitions, drop blanks (the definition).

    Args:
        log_probs: Log-probabilities (T, V) of all frames.
        blank: Id of the blank.

    Returns:
        The best path.
    """
    token_int, start, end = [], [], []
    score, previous = 0.0, blank
    for t, frame in enumerate(log_probs):
        best = int(frame.argmax())
        score += float(frame[best])
        if best != blank and best == previous:
            end[-1] = t
        elif best != blank:
            token_int.append(best)
            start.append(t)
            end.append(t)
        previous = best
    return GreedyHypothesis(token_int, start, end, score)


def greedy_search(
    log_probs: torch.Tensor,
    kept_index: torch.Tensor,
    skipped_score: float = 0.0,
    blank: int = 0,
) -> GreedyHypothesis:
    """Best path from the kept frames of one utterance.

    Args:
        log_probs: Log-probabilities (N, V) of the kept frames, N >= 0.
        kept_index: Original frames (N,) of the rows, strictly increasing.
        skipped_score: Sum of the blank log-probabilities of the skipped frames,
            where they are known; it only enters the score.
        blank: Id of the blank.

    Returns:
        The best path, with frames counted on the original time axis.

    Raises:
        ValueError: The two lengths differ or the frames do not increase.
    """
    if len(log_probs) != len(kept_index):
        raise ValueError(
            f"kept_index has {len(kept_index)} frames, log_probs {len(log_probs)}"
        )
    if len(log_probs) == 0:
        return GreedyHypothesis([], [], [], float(skipped_score))
    best_logp, best = log_probs.max(dim=-1)
    step = kept_index[1:] - kept_index[:-1]
    if bool((step <= 0).any()):
        raise ValueError("kept_index must be strictly increasing")
    # A gap in the original frames is a blank, so it ends a run like any change.
    ends_run = torch.ones_like(best, dtype=torch.bool)
    ends_run[:-1] = (best[1:] != best[:-1]) | (step > 1)
    starts_run = ends_run.roll(1)
    starts_run[0] = True
    label = best != blank
    return GreedyHypothesis(
        token_int=best[starts_run & label].tolist(),
        start=kept_index[starts_run & label].tolist(),
        end=kept_index[ends_run & label].tolist(),
        score=float(best_logp.sum()) + float(skipped_score),
    )
