"""Checks of one utterance's audio, made once, where it enters the program.

Everything behind this door may rely on one finite, non-empty channel. Whatever does
not fit raises `BadAudio`, whose message is one line that names the utterance and the
reason; the caller logs it and goes on with the next utterance.
"""

import logging
from os import PathLike
from typing import Optional, Tuple, Union

import numpy as np
import soundfile

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.mixing import Mixer
from espnet_blankskip.audio.sound import Sound, open_sound
from espnet_blankskip.audio.sources import Source

logger = logging.getLogger(__name__)


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
    with open_sound(source, utt_id) as sound:
        _check_model_rate(sound, sample_rate)
        if sound.channels > 1:
            logger.warning(
                f"utterance '{utt_id}': {sound.channels} channels are mixed down to one"
            )
        return _read_whole(sound)


def read_mono(
    source: Source,
    utt_id: str,
    sample_rate: Optional[int] = None,
    mix: bool = False,
) -> Tuple[np.ndarray, int]:
    """Read one audio file to train with, whose channels are better mixed on purpose.

    Args:
        source: As in `read_audio`.
        utt_id: As in `read_audio`.
        sample_rate: As in `read_audio`.
        mix: Average several channels, as recognition does.

    Returns:
        Samples (S,) as from `read_audio`, and their rate in Hz.

    Raises:
        BadAudio: As in `read_audio`; also if it has several channels, unless `mix`.
    """
    with open_sound(source, utt_id) as sound:
        if sound.channels > 1 and not mix:
            raise BadAudio(utt_id, f"has {sound.channels} channels, 1 expected")
        _check_model_rate(sound, sample_rate)
        return _read_whole(sound), sound.rate


def soundfile_reads(path: Union[str, PathLike], samples: int) -> bool:
    """Tell whether `soundfile.read`, which ESPnet's loader calls, gives these samples.

    Args:
        path: A file that was read here.
        samples: How many samples it has.
    """
    try:
        with soundfile.SoundFile(path) as file:
            whole = file.frames == samples == file.seek(0, soundfile.SEEK_END)
            return whole and file.channels == 1
    except (soundfile.SoundFileError, ValueError, TypeError):
        return False


def _check_model_rate(sound: Sound, sample_rate: Optional[int]) -> None:
    if sample_rate is not None and sound.rate != sample_rate:
        raise BadAudio(
            sound.utt_id,
            f"sampling rate is {sound.rate} Hz but the model expects {sample_rate} Hz",
        )


def _read_whole(sound: Sound) -> np.ndarray:
    mixer, utt_id = Mixer(), sound.utt_id
    blocks = [mixer(block) for block in sound.blocks()]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    for remark in sound.remarks + mixer.remarks():
        logger.warning(f"utterance '{utt_id}': {remark}")
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
