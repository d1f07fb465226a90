"""Recordings of people, from beside the checkout or where a variable says."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FSDD = Path(os.environ.get("FSDD") or SHARED / "fsdd")
MINI_AN4 = Path(os.environ.get("MINI_AN4") or SHARED / "mini_an4")
SAMPLES = SHARED / "samples"


def digit_files(*names):
    """Files of spoken digits by names such as ``7_lucas_0``; 8 kHz."""
    found = [next(FSDD.rglob(f"{name}.wav"), None) for name in names]
    if None in found:
        pytest.skip(f"no spoken digits in {FSDD}; set FSDD to have this tested")
    return found


def digits(*names) -> np.ndarray:
    """Spoken digits (S,) float32, joined."""
    files = digit_files(*names)
    return np.concatenate([soundfile.read(f, dtype="float32")[0] for f in files])
