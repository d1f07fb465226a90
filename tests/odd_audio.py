"""Files that libsndfile reads and programs stumble over, and some that nobody reads."""

from pathlib import Path
from typing import Dict

import numpy as np
import soundfile

GSM_BLOCK = 320


def flac_of_unknown_length(path: Path) -> None:
    """Rewrite a FLAC file as an encoder writes it into a pipe."""
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)


def write_odd_files(folder: Path, samples: np.ndarray, rate: int) -> Dict[str, Path]:
    """Write the same samples in ways that are all to be read whole.

    Returns:
        Files by name. GSM fills its last blocks, with at most `GSM_BLOCK` samples.
    """
    paths = {name: folder / name for name in ("gsm.wav", "unknown.flac", "zero.wav")}
    soundfile.write(paths["gsm.wav"], samples, rate, subtype="GSM610")
    soundfile.write(paths["unknown.flac"], samples, rate)
    flac_of_unknown_length(paths["unknown.flac"])
    soundfile.write(paths["zero.wav"], samples, rate)
    content = bytearray(paths["zero.wav"].read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = bytes(4)
    paths["zero.wav"].write_bytes(content)
    return paths


def write_unusable_files(folder: Path, samples: np.ndarray, rate: int):
    """Write files that each cost themselves and nothing else.

    Returns:
        Files by name.
    """
    names = ("talk.m4a", "cut.flac", "cut.wav", "slow.wav", "junk.raw", "nan.wav")
    paths = {name: folder / name for name in names}
    paths["talk.m4a"].write_bytes(b"\0\0\0\x20ftypM4A " + bytes(999))
    soundfile.write(paths["cut.flac"], samples, rate)
    flac_of_unknown_length(paths["cut.flac"])
    soundfile.write(paths["cut.wav"], samples, rate)
    for name in ("cut.flac", "cut.wav"):
        content = paths[name].read_bytes()
        paths[name].write_bytes(content[: len(content) // 2])
    soundfile.write(paths["slow.wav"], samples, 1)
    paths["junk.raw"].write_bytes(bytes(range(256)) * 9)
    soundfile.write(paths["nan.wav"], samples * np.nan, rate, subtype="FLOAT")
    paths["long name"] = folder / ("a" * 300 + ".wav")
    return paths
