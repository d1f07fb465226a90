"""Checks of one utterance's audio, made once, where it enters the program.

Everything behind this door may rely on one finite, non-empty channel. Whatever does
not fit raises `BadAudio`, whose message is one line that names the utterance and the
reason; the caller logs it and goes on with the next utterance.
"""

import contextlib
import logging
import struct
from pathlib import Path
from typing import Optional, Union

import numpy as np
import soundfile

# A writer that cannot seek back (a pipe) announces this much or more, or nothing.
_UNKNOWN_RIFF_SIZE = 0x7FFFF000


class BadAudio(ValueError):
    """One utterance cannot be used.

    Args:
        utt_id: The utterance.
        reason: What is wrong with it, in one line.
    """

    def __init__(self, utt_id: str, reason: str):
        super().__init__(f"utterance '{utt_id}': {reason}")
        self.utt_id = utt_id
        self.reason = reason


def open_sound(path: Union[str, Path], utt_id: str) -> soundfile.SoundFile:
    """Open an audio file of any format that soundfile reads (wav, flac, mp3, ...).

    Args:
        path: The file.
        utt_id: Utterance id for messages.

    Returns:
        The open file, to be closed by the caller (`with`).

    Raises:
        BadAudio: It is missing, forbidden, empty, truncated or no audio.
    """
    if str(path).rstrip().endswith("|"):
        raise BadAudio(
            utt_id, f"'{path}' is a command; give a file (asr.sh stage 3 makes them)"
        )
    path = Path(path)
    try:
        if not path.is_file():
            raise BadAudio(utt_id, f"no such audio file: {path}")
        if path.stat().st_size == 0:
            raise BadAudio(utt_id, f"audio file is empty (0 bytes): {path}")
        missing = _missing_wav_bytes(path)
    except OSError as error:
        raise BadAudio(
            utt_id, f"cannot be opened: {error.strerror or error}: {path}"
        ) from None
    if missing:
        raise BadAudio(utt_id, f"audio file is truncated by {missing} bytes: {path}")
    with _damage_named(utt_id):
        return soundfile.SoundFile(str(path))


def read_block(sound: soundfile.SoundFile, frames: int, utt_id: str) -> np.ndarray:
    """Read the next samples of an open file.

    Args:
        sound: From `open_sound`.
        frames: How many at most; -1 reads all that are left.
        utt_id: Utterance id for messages.

    Returns:
        Samples (S, C) float32 in [-1, 1]; S = 0 at the end.

    Raises:
        BadAudio: The file is damaged, or ends before the length it announces.
    """
    with _damage_named(utt_id):
        samples = sound.read(frames, dtype="float32", always_2d=True)
        end = sound.tell()
    if end < sound.frames and (frames < 0 or len(samples) < frames):
        raise BadAudio(
            utt_id,
            f"audio file is truncated: {end} of {sound.frames} samples: {sound.name}",
        )
    return samples


def read_audio(
    path: Union[str, Path], utt_id: str, sample_rate: Optional[int] = None
) -> np.ndarray:
    """Read one audio file of a data set as a single channel scaled to [-1, 1].

    Several channels are averaged (as a mono recording would be), with one log
    line. The rate is never changed: a prepared data set is at the model's rate, and
    a model that hears another one fails without a word, so that is an error here.
    `BlankSkipSpeech2Text`, which takes files from anywhere, resamples.

    Args:
        path: File in any format soundfile reads (wav, flac, ogg, ...).
        utt_id: Utterance id for messages.
        sample_rate: Rate in Hz the model was trained with; None accepts any.

    Returns:
        Samples (S,) float32, S >= 1, all finite.

    Raises:
        BadAudio: The file is missing, unreadable, truncated or empty, has
            another rate, or holds NaN or infinite samples.
    """
    with open_sound(path, utt_id) as sound:
        rate = sound.samplerate
        samples = read_block(sound, -1, utt_id)
    if sample_rate is not None and rate != sample_rate:
        raise BadAudio(
            utt_id,
            f"sampling rate is {rate} Hz but the model expects {sample_rate} Hz",
        )
    if samples.shape[1] > 1:
        logging.warning(
            f"utterance '{utt_id}': {samples.shape[1]} channels are mixed down to one"
        )
    return check_samples(samples.mean(axis=1), utt_id)


def check_samples(samples: np.ndarray, utt_id: str, min_samples: int = 1) -> np.ndarray:
    """Check samples that are already in memory.

    Args:
        samples: Audio (S,).
        utt_id: Utterance id for messages.
        min_samples: Fewest samples the model can turn into one frame.

    Returns:
        The same samples.

    Raises:
        BadAudio: Not one-dimensional, empty, too short, NaN or infinite.
    """
    if samples.ndim != 1:
        raise BadAudio(
            utt_id, f"expected one channel of shape (samples,), got {samples.shape}"
        )
    if len(samples) == 0:
        raise BadAudio(utt_id, "audio is empty (0 samples)")
    if len(samples) < min_samples:
        raise BadAudio(
            utt_id,
            f"too short: {len(samples)} samples, the model needs {min_samples}",
        )
    bad = int(len(samples) - np.isfinite(samples).sum())
    if bad:
        raise BadAudio(utt_id, f"{bad} of {len(samples)} samples are NaN or infinite")
    return samples


@contextlib.contextmanager
def _damage_named(utt_id: str):
    """Turn what soundfile raises into one line that names the utterance."""
    try:
        yield
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        reason = str(error).replace("\n", " ").rstrip(".")
        raise BadAudio(
            utt_id, f"cannot be read as audio (wrong type or damaged): {reason}"
        ) from None


def _missing_wav_bytes(path: Path) -> int:
    """Bytes of sample data that a RIFF header promises and the file lacks.

    libsndfile shortens such a file without a word, so it is looked at here.

    Returns:
        The number of missing bytes; 0 for complete files and other formats.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while True:
            chunk = f.read(8)
            if len(chunk) < 8:
                return 0
            name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            if name == b"data":
                if length >= _UNKNOWN_RIFF_SIZE:
                    return 0
                return max(0, f.tell() + length - size)
            f.seek(length + length % 2, 1)  # chunks are padded to even lengths
