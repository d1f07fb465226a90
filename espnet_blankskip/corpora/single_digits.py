"""Recordings of single digits, whoever or whatever spoke them."""

from dataclasses import dataclass

import numpy as np

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Recording:
    """One spoken digit; ``audio`` has shape (samples,)."""

    digit: int
    speaker: str
    index: int
    audio: np.ndarray
