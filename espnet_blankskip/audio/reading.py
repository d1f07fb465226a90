"""Checks of one utterance's audio, made once, where it enters the program.

Everything behind this door may rely on one finite, non-empty channel. Whatever does
not fit raises `BadAudio`, whose message is one line that names the utterance and the
reason; the caller logs it and goes on with the next utterance.
"""

import logging
from typing import Optional

import numpy as np

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.mixing import Mixer
from espnet_blankskip.audio.sound import open_sound
from espnet_blankskip.audio.sources import Source


def read_audio(
    source: Source, utt_id: str, sample_rate: Optional[int] = None
) -> np.ndarray:
    """Read one audio file of a data set as a single channel scaled to [-1, 1].

    Several channels are averaged (as a mono recording would be), with one log
    line. The rate is never changed: a prepared data set is at the model's rate, and
    a model that hears another one fails without a word, so that is an error here.
    `BlankSkipSpeech2Text`, which takes files from anywhere, resamples.

    Args:
        source: File in any format libsndfile reads (wav, flac, ogg, ...).
        utt_id: Utterance id for messages.
        sample_rate: Rate in Hz the model was trained with; None accepts any.

    Returns:
        Samples (S,) float32, S >= 1, all finite.

    Raises:
        BadAudio: The file is missing, unreadable, truncated or empty, has
            another rate, or holds NaN or infinite samples.
    """
    mixer = Mixer()
    with open_sound(source, utt_id) as sound:
        if sample_rate is not None and sound.rate != sample_rate:
            raise BadAudio(
                utt_id,
                f"sampling rate is {sound.rate} Hz but the model expects "
                f"{sample_rate} Hz",
            )
        blocks = [mixer(block) for block in sound.blocks()]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if sound.channels > 1:
        logging.warning(
            f"utterance '{utt_id}': {sound.channels} channels are mixed down to one"
        )
    for remark in sound.remarks + mixer.remarks():
        logging.warning(f"utterance '{utt_id}': {remark}")
    return check_samples(samples, utt_id)


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
