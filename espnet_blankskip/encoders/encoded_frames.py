"""What an encoder returns to those who want to know how deep each frame ran."""

from dataclasses import dataclass, field
from typing import List, Optional, Tuple

from torch import Tensor


@dataclass
class EncodedFrames:
    """What an encoder found out about a padded batch.

    Attributes:
        states: output states (B, T, D), normalized, ready for the CTC head. A skipped
            frame holds its state at the gate that it left at.
        lens: encoder frames of each utterance (B,) long.
        depth: layers that each frame ran through (B, T) long; 0 on padding.
        kept: frames that ran through all layers (B, T) bool.
        blank_logp: log-probability of blank at the last gate that read the frame
            (B, T), or None where no gate was read.
        intermediate: (layer number, normalized states (B, T, D)) of each layer with
            an intermediate CTC.
        prefix: of the T frames, those in front that are a prompt and no audio.
    """

    states: Tensor
    lens: Tensor
    depth: Tensor
    kept: Tensor
    blank_logp: Optional[Tensor] = None
    intermediate: List[Tuple[int, Tensor]] = field(default_factory=list)
    prefix: int = 0

    @property
    def kept_ratio(self) -> float:
        """Share of frames that ran through all layers, 0 to 1."""
        return int(self.kept.sum()) / max(1, int(self.lens.sum()))
