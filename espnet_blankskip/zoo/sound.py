"""Sound to run a checkpoint on while it is converted: the user's, or made here."""

from dataclasses import dataclass
from typing import List, Optional

import numpy as np

from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.kaldi.recordings import read_recordings
from espnet_blankskip.zoo.errors import CheckpointError

SYNTHETIC = "synthetic sound"
MAX_SECONDS = 900.0  # more changes a fit of D+1 numbers no further
_HELD_OUT_EVERY = 4


@dataclass(frozen=True)
class FitSound:
    """Utterances, part of them held out from fitting.

    Attributes:
        name: where they came from.
        fit: utterances (S,) float32 to fit on.
        held_out: utterances to report on; the same as ``fit`` where there is one.
        failed: why utterances of the list could not be used.
    """

    name: str
    fit: List[np.ndarray]
    held_out: List[np.ndarray]
    failed: List[str]


def read_sound(
    wav_scp: Optional[str], sample_rate: int, max_seconds: float = MAX_SECONDS
) -> FitSound:
    """Read utterances of a wav.scp, or make some.

    Args:
        wav_scp: Kaldi-style list of audio files; None makes sound.
        sample_rate: of the model, in Hz.
        max_seconds: audio to read at most.

    Raises:
        CheckpointError: no utterance of the list can be used.
    """
    if wav_scp is None:
        return _split(SYNTHETIC, made_sound(sample_rate), [])
    try:
        listed = read_table(wav_scp)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"--fit-audio: {error}") from None
    utterances, failed, seconds = [], [], 0.0

    def fail(error: Exception) -> None:
        failed.append(str(error))

    for _, samples in read_recordings(listed, fail, sample_rate, wav_scp=wav_scp):
        utterances.append(samples)
        seconds += len(samples) / sample_rate
        if seconds >= max_seconds:
            break
    if not utterances:
        why = f": {failed[0]}" if failed else ""
        raise CheckpointError(f"--fit-audio {wav_scp}: no utterance can be used{why}")
    return _split(wav_scp, utterances, failed)


def made_sound(sample_rate: int, count: int = 16, seconds: float = 4.0, seed: int = 0):
    """Harmonics, noise and pauses that come and go as syllables do; not speech.

    Args:
        sample_rate: in Hz.
        count: utterances.
        seconds: length of each.
        seed: same seed, same sound.

    Returns:
        Utterances (S,) float32 in [-1, 1].
    """
    rng = np.random.default_rng(seed)
    size = int(seconds * sample_rate)
    time = np.arange(size) / sample_rate
    utterances = []
    for _ in range(count):
        pitch = rng.uniform(80, 250) * (1 + 0.1 * np.sin(2 * np.pi * time))
        phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
        voice = sum(
            rng.uniform(0.2, 1.0) / k * np.sin(k * phase)
            for k in range(1, int(0.4 * sample_rate / 250))
        )
        knots = rng.uniform(0, 1, (2, int(4 * seconds) + 2))
        knots[:, rng.uniform(size=knots.shape[1]) < 0.4] = 0.0
        at = np.linspace(0, seconds, knots.shape[1])
        loud, rough = (np.interp(time, at, row) for row in knots)
        sound = loud * voice + 0.3 * rough * rng.standard_normal(size)
        sound = sound / max(1e-6, np.abs(sound).max()) * rng.uniform(0.1, 0.9)
        sound += rng.uniform(1e-4, 1e-2) * rng.standard_normal(size)
        utterances.append(np.clip(sound, -1, 1).astype(np.float32))
    return utterances


def _split(name, utterances, failed) -> FitSound:
    held_out = utterances[_HELD_OUT_EVERY - 1 :: _HELD_OUT_EVERY]
    if not held_out:
        return FitSound(name, utterances, utterances, failed)
    fit = [u for i, u in enumerate(utterances, 1) if i % _HELD_OUT_EVERY]
    return FitSound(name, fit, held_out, failed)
