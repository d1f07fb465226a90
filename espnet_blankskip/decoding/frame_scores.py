"""What the model says of a stretch of one utterance's frames: all a search needs."""

from dataclasses import dataclass
from typing import List, Optional

import torch
from torch import Tensor

from espnet_blankskip.decoding.hypothesis import BLANK
from espnet_blankskip.encoders import EncodedFrames

_DENSE = torch.contiguous_format


@dataclass(frozen=True)
class FrameScores:
    """Scores of the frames `first` .. `end - 1` of an utterance, on the CPU.

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
    log_probs: Tensor
    kept_index: Tensor
    depth: Tensor
    blank_logp: Optional[Tensor] = None

    @property
    def end(self) -> int:
        """Return the frame after the last one."""
        return self.first + len(self.depth)

    @property
    def labels(self) -> Tensor:
        """Return the best label of every frame (T,); blank where it was skipped."""
        labels = torch.full_like(self.depth, BLANK)
        labels[self.kept_index - self.first] = self.log_probs.argmax(dim=-1)
        return labels

    @property
    def skipped_score(self) -> float:
        """Return the log-probability that all skipped frames are blank, if known."""
        if self.blank_logp is None:
            return 0.0
        skipped = torch.ones(len(self.depth), dtype=torch.bool)
        skipped[self.kept_index - self.first] = False
        return float(self.blank_logp[skipped].sum())

    def between(self, begin: int, end: int) -> "FrameScores":
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
    ctc: torch.nn.Module, encoded: EncodedFrames, first: Optional[List[int]] = None
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
    log_probs = ctc.log_softmax(kept_states)[0].float().cpu()
    index = encoded.kept.nonzero()[:, 1].cpu()
    counts, lens = encoded.kept.sum(1).tolist(), encoded.lens.tolist()
    begins = [begin - encoded.prefix for begin in first or [0] * len(lens)]
    depth, blank_logp = encoded.depth.cpu(), encoded.blank_logp
    if blank_logp is not None:
        # Perhaps one column of all labels' scores, which a view would keep in memory.
        blank_logp = blank_logp.float().cpu().clone(memory_format=_DENSE)
    return [
        FrameScores(
            first=begin,
            log_probs=row_log_probs,
            kept_index=row_index + begin,
            depth=depth[i, : lens[i]],
            blank_logp=None if blank_logp is None else blank_logp[i, : lens[i]],
        )
        for i, (begin, row_log_probs, row_index) in enumerate(
            zip(begins, log_probs.split(counts), index.split(counts))
        )
    ]
