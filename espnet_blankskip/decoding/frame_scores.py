"""What the model says of a stretch of one utterance's frames: all a search needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List, NamedTuple, Optional

import numpy as np

from espnet_blankskip.decoding.hypothesis import BLANK

if TYPE_CHECKING:  # whoever has scores already needs no torch
    import torch

    from espnet_blankskip.encoders import EncodedFrames


class Spent(NamedTuple):
    """Wall time of scoring, in seconds.

    Args:
        encoder: Front-end, normalization and encoder.
        total: The same plus the CTC head.
    """

    encoder: float
    total: float


@dataclass(frozen=True)
class FrameScores:
    """Scores of the frames `first` .. `end - 1` of an utterance.

    Args:
        first: First frame of the stretch, counted in the utterance; below 0 where a
            prompt stands in front of the audio.
        log_probs: Log-probabilities (N, V) of the kept frames, float32.
        kept_index: Kept frames (N,), counted in the utterance, increasing.
        depth: Encoder layers that each frame ran through (T,).
        blank_logp: Log-probability of blank at the last gate that read the frame
            (T,), or None where no gate was read.
    """

    first: int
    log_probs: np.ndarray
    kept_index: np.ndarray
    depth: np.ndarray
    blank_logp: Optional[np.ndarray] = None

    @property
    def end(self) -> int:
        """Return the frame after the last one."""
        return self.first + len(self.depth)

    @property
    def labels(self) -> np.ndarray:
        """Return the best label of every frame (T,); blank where it was skipped."""
        labels = np.full(len(self.depth), BLANK)
        labels[self.kept_index - self.first] = np.asarray(self.log_probs).argmax(-1)
        return labels

    @property
    def skipped_score(self) -> float:
        """Return the log-probability that all skipped frames are blank, if known."""
        if self.blank_logp is None:
            return 0.0
        skipped = np.ones(len(self.depth), dtype=bool)
        skipped[self.kept_index - self.first] = False
        return float(self.blank_logp[skipped].sum())

    def between(self, begin: int, end: int) -> FrameScores:
        """Return the part `begin` .. `end - 1`, counted in the utterance."""
        kept = (self.kept_index >= begin) & (self.kept_index < end)
        frames = slice(begin - self.first, end - self.first)
        return FrameScores(
            first=begin,
            log_probs=self.log_probs[kept],
            kept_index=self.kept_index[kept],
            depth=self.depth[frames],
            blank_logp=None if self.blank_logp is None else self.blank_logp[frames],
        )


def frame_scores(
    ctc: torch.nn.Module,
    encoded: EncodedFrames,
    first: Optional[List[int]] = None,
) -> List[FrameScores]:
    """Run the CTC head on the kept frames of a batch.

    Args:
        ctc: The model's CTC head.
        encoded: Encoder output of B stretches of speech.
        first: The frame that each's audio begins with; None: all begin with frame 0.

    Returns:
        Scores of each stretch; the frames of a prompt come before the audio's.
    """
    # One call of the head for the whole batch, on kept frames only.
    kept_states = encoded.states[encoded.kept].unsqueeze(0)
    log_probs = ctc.log_softmax(kept_states)[0].float().cpu().numpy()
    lens, blank_logp = encoded.lens.tolist(), encoded.blank_logp
    begins = [begin - encoded.prefix for begin in first or [0] * len(lens)]
    if blank_logp is not None:
        # Perhaps one column of all labels' scores, which a view would keep in memory.
        blank_logp = np.array(blank_logp.float().cpu().numpy(), order="C")
    return split_scores(
        log_probs,
        encoded.kept.cpu().numpy(),
        encoded.depth.cpu().numpy(),
        blank_logp,
        lens,
        begins,
    )


def split_scores(
    log_probs: np.ndarray,
    kept: np.ndarray,
    depth: np.ndarray,
    blank_logp: Optional[np.ndarray],
    lens: List[int],
    first: List[int],
) -> List[FrameScores]:
    """Divide the scores of a batch among its B utterances.

    Args:
        log_probs: Log-probabilities (K, V) of the kept frames of all of them.
        kept: Frames that ran through all layers (B, T) bool.
        depth: Layers that each frame ran through (B, T).
        blank_logp: Log-probability of blank at the last gate (B, T), or None.
        lens: Frames of each utterance.
        first: The frame that each begins with.
    """
    index, ends = kept.nonzero()[1], kept.sum(1).cumsum()[:-1]
    return [
        FrameScores(
            first=begin,
            log_probs=row_log_probs,
            kept_index=row_index + begin,
            depth=depth[i, : lens[i]],
            blank_logp=None if blank_logp is None else blank_logp[i, : lens[i]],
        )
        for i, (begin, row_log_probs, row_index) in enumerate(
            zip(first, np.split(log_probs, ends), np.split(index, ends))
        )
    ]
