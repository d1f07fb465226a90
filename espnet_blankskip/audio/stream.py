"""Audio from a file or an array, as blocks of one channel at the model's rate.

A file is never in memory as a whole: it is read, mixed down and resampled block by
block, so an hour takes no more room than a minute.
"""

import logging
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, List, Optional, Union

import numpy as np

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.downmixing import FULL_SCALE, Mixer
from espnet_blankskip.audio.sound import block_samples, check_rate, open_sound
from espnet_blankskip.audio.sources import is_file, lasting

logger = logging.getLogger(__name__)

Speech = Union[np.ndarray, "torch.Tensor", str, PathLike, BinaryIO]  # noqa: F821


class Audio:
    """One recording that was looked at, and can be read any number of times.

    Args:
        utt_id: Utterance id for messages.
        source: File, or samples (S, C) of a type that `Mixer` knows.
        rate: Its sampling rate in Hz.
        num_samples: Samples per channel, as an array has or a header says.
        target_rate: Rate in Hz of the blocks.
        channel: Channel to take, counted from 0; None averages all of them.
        notice: Called with what looks wrong, when everything is read.

    Attributes:
        num_samples: Samples per channel; of a file, those that it turned out to have
            once it is read. Before that a header's word, which may be infinity.
        remarks: What looks wrong, once it is read.
    """

    def __init__(
        self,
        utt_id: str,
        source: Union[Path, BinaryIO, np.ndarray],
        rate: int,
        num_samples: float,
        target_rate: int,
        channel: Optional[int],
        notice: Callable[[str, str], None],
    ):
        self.utt_id = utt_id
        self.source = source
        self.rate = rate
        self.num_samples = num_samples
        self.target_rate = target_rate
        self.channel = channel
        self.remarks: List[str] = []
        self._notice = notice

    @property
    def seconds(self) -> float:
        """Return the length in seconds."""
        return self.num_samples / self.rate

    def blocks(self) -> Iterator[np.ndarray]:
        """Read it from the beginning.

        Yields:
            Samples (S,) float32 at the target rate, in [-1, 1] for PCM.

        Raises:
            BadAudio: The file is damaged or truncated.
        """
        blocks = self._one_channel()
        if self.rate == self.target_rate:
            return blocks
        return self._resampled(blocks)

    def _one_channel(self) -> Iterator[np.ndarray]:
        mixer, heard, remarks = Mixer(self.channel), 0, []
        for block in self._source_blocks(remarks):
            heard += len(block)
            yield mixer(block)
        self.num_samples = heard
        self.remarks = remarks + mixer.remarks()
        for remark in self.remarks:
            self._notice(remark, self.utt_id)

    def _source_blocks(self, remarks: List[str]) -> Iterator[np.ndarray]:
        if isinstance(self.source, np.ndarray):
            size = block_samples(self.rate, self.source.shape[1])
            for first in range(0, len(self.source), size):
                yield self.source[first : first + size]
            return
        with open_sound(self.source, self.utt_id) as sound:
            yield from sound.blocks()
            remarks += sound.remarks

    def _resampled(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        import soxr

        stream = soxr.ResampleStream(self.rate, self.target_rate, 1, dtype="float32")
        for block in blocks:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


class AudioReader:
    """Turns whatever a user gives into `Audio` at one rate.

    What it changes on the way (rate, channels) is logged once per kind, not per file.

    Args:
        sample_rate: Rate in Hz that the model hears.
        channel: Channel to take, counted from 0; None averages all of them.

    Raises:
        ValueError: `channel` is negative.
    """

    def __init__(self, sample_rate: int, channel: Optional[int] = None):
        if channel is not None and channel < 0:
            raise ValueError(f"channel={channel} must be 0 or more")
        self.sample_rate = sample_rate
        self.channel = channel
        self._said = set()

    def open(self, speech: Speech, rate: Optional[int], utt_id: str) -> Audio:
        """Look at a recording without reading its samples.

        Args:
            speech: File in any format libsndfile reads, as its path or open for
                reading in binary mode; or samples (S,) or (S, C): floating-point in
                [-1, 1], int16 or int32, as an array or a tensor.
            rate: Sampling rate in Hz of an array; None: the model's. A file knows
                its own.
            utt_id: Utterance id for messages.

        Raises:
            BadAudio: It cannot be used; the message says why.
        """
        if is_file(speech):
            source = lasting(speech, utt_id)
            with open_sound(source, utt_id) as sound:
                rate, channels = sound.rate, sound.channels
                announced = sound.announced
            num_samples = float("inf") if announced is None else announced
        else:
            source = _as_array(speech, utt_id)
            rate = self.sample_rate if rate is None else int(rate)
            num_samples, channels = source.shape
            check_rate(rate, utt_id)
        if num_samples == 0:
            raise BadAudio(utt_id, "audio is empty (0 samples)")
        if self.channel is not None and self.channel >= channels:
            raise BadAudio(
                utt_id, f"has {channels} channel(s), none with number {self.channel}"
            )
        if channels > 1:
            how = "averaged" if self.channel is None else f"heard as no. {self.channel}"
            self._say_once(f"audio of {channels} channels is {how}", utt_id)
        if rate != self.sample_rate:
            self._say_once(
                f"audio at {rate} Hz is resampled to the model's {self.sample_rate} Hz",
                utt_id,
            )
        return Audio(
            utt_id,
            source,
            rate,
            num_samples,
            self.sample_rate,
            self.channel,
            self._say_once,
        )

    def _say_once(self, what: str, utt_id: str) -> None:
        if what not in self._said:
            self._said.add(what)
            logger.warning(f"{what} (first: '{utt_id}'; not said again)")


def _as_array(speech: Any, utt_id: str) -> np.ndarray:
    """View samples of any kind as (S, C) of a type that `Mixer` knows."""
    try:
        if hasattr(speech, "detach"):
            speech = speech.detach().cpu()
            if speech.is_floating_point() and speech.element_size() < 4:
                speech = speech.float()  # numpy knows no bfloat16
        speech = np.asarray(speech)
    except Exception as error:  # depends on whose array it is
        words = " ".join(str(error).split())
        raise BadAudio(utt_id, f"samples cannot be read: {words}") from None
    known = np.issubdtype(speech.dtype, np.floating)
    if not known and speech.dtype.newbyteorder("=") not in FULL_SCALE:
        raise BadAudio(
            utt_id,
            f"samples are {speech.dtype}; give floating-point samples in [-1, 1], "
            "int16 or int32",
        )
    if speech.ndim not in (1, 2) or (speech.ndim == 2 and speech.shape[1] == 0):
        raise BadAudio(
            utt_id,
            f"expected shape (samples,) or (samples, channels), got {speech.shape}",
        )
    speech = speech[:, None] if speech.ndim == 1 else speech
    if speech.shape[1] > len(speech) > 0:
        raise BadAudio(
            utt_id,
            f"shape {speech.shape} has more channels than samples; expected "
            "(samples, channels): transpose it",
        )
    return speech
