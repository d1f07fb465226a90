"""What recognizing one utterance gives."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from espnet_blankskip.decoding.words import Word


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance.

    Args:
        text: Transcript.
        token: Tokens.
        token_int: Token ids.
        score: Log-probability, with the language model's share if there is one.
        times: Start and end of every token in seconds.
        confidence: Confidence of every token, 0 to 1.
        words: Text, start and end in seconds, and confidence of every word.
    """

    text: str
    token: List[str]
    token_int: List[int]
    score: float
    times: Tuple[Tuple[float, float], ...]
    confidence: Tuple[float, ...] = ()
    words: Tuple[Word, ...] = ()


@dataclass(frozen=True)
class Recognition:
    """What was recognized in one utterance: its best hypothesis, and how it was found.

    Args:
        text, token, token_int, score, times: Of the best `Hypothesis`.
        depth: Encoder layers each frame ran through (T,), int.
        blank_prob: Blank probability (T,) at the last gate that read the frame, or None
            where no gate was read.
        kept_frames: Frames that ran through every layer.
        layers_run: Sum of `depth`: layer passes of single frames.
        encoder_seconds: Wall time of front-end, normalization and encoder.
        total_seconds: The same plus CTC head, search and detokenization.
        audio_seconds: Length of the audio.
        confidence, words: Of the best `Hypothesis`.
        nbest: Hypotheses, best first.
        warnings: What looks wrong with the audio, one text per kind.
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
    confidence: Tuple[float, ...] = ()
    words: Tuple[Word, ...] = ()
    nbest: Tuple[Hypothesis, ...] = ()
    warnings: Tuple[str, ...] = ()

    @property
    def kept_ratio(self) -> float:
        """Return the share of frames that ran through every layer."""
        return self.kept_frames / max(1, len(self.depth))
