"""What recognizing one utterance gives."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class Recognition:
    """What was recognized in one utterance.

    Args:
        text: Transcript.
        token: Tokens.
        token_int: Token ids.
        score: Log-probability of the best path.
        times: Start and end of every token in seconds.
        depth: Encoder layers each frame ran through (T,), int.
        blank_prob: Blank probability (T,) at the last gate that read the frame, or None
            where no gate was read.
        kept_frames: Frames that ran through every layer.
        layers_run: Sum of `depth`: layer passes of single frames.
        encoder_seconds: Wall time of front-end, normalization and encoder.
        total_seconds: The same plus CTC head, search and detokenization.
        audio_seconds: Length of the audio.
    """

    text: str
    token: List[str]
    token_int: List[int]
    score: float
    times: Tuple[Tuple[float, float], ...]
    depth: np.ndarray
    blank_prob: Optional[np.ndarray]
    kept_frames: int
    layers_run: int
    encoder_seconds: float
    total_seconds: float
    audio_seconds: float

    @property
    def kept_ratio(self) -> float:
        """Return the share of frames that ran through every layer."""
        return self.kept_frames / max(1, len(self.depth))
