"""Audio from a file or an array, as blocks of one channel at the model's rate.

A file is never in memory as a whole: it is read, mixed down and resampled block by
block, so an hour takes no more room than a minute.
"""

import logging
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Iterator, Optional, Union

import numpy as np

from espnet_blankskip.audio.reading import BadAudio, open_sound, read_block

BLOCK_SECONDS = 10.0
# outside of it a header is damaged, and resampling would take the memory at its word
MIN_RATE, MAX_RATE = 1000, 1_000_000

Speech = Union[np.ndarray, "torch.Tensor", str, PathLike]  # noqa: F821


@dataclass(frozen=True)
class Audio:
    """One recording that was looked at, and can be read any number of times.

    Args:
        utt_id: Utterance id for messages.
        source: File, or samples (S, C) of a type that `_scaled` knows.
        rate: Its sampling rate in Hz.
        num_samples: Samples per channel, as an array has or a header says.
        target_rate: Rate in Hz of the blocks.
        channel: Channel to take, counted from 0; None averages all of them.
    """

    utt_id: str
    source: Union[Path, np.ndarray]
    rate: int
    num_samples: int
    target_rate: int
    channel: Optional[int] = None

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
        blocks = (self._one_channel(block) for block in self._source_blocks())
        if self.rate == self.target_rate:
            return blocks
        return self._resampled(blocks)

    def _source_blocks(self) -> Iterator[np.ndarray]:
        size = max(1, int(BLOCK_SECONDS * self.rate))
        if isinstance(self.source, np.ndarray):
            for first in range(0, self.num_samples, size):
                yield self.source[first : first + size]
            return
        with open_sound(self.source, self.utt_id) as sound:
            while len(block := read_block(sound, size, self.utt_id)):
                yield block

    def _one_channel(self, block: np.ndarray) -> np.ndarray:
        if self.channel is not None:
            block = block[:, self.channel : self.channel + 1]
        block = _scaled(block)
        return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)

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
            speech: Path of a file in any format soundfile reads, or samples (S,) or
                (S, C): floating-point in [-1, 1], int16 or int32.
            rate: Sampling rate in Hz of an array; None: the model's. A file knows
                its own.
            utt_id: Utterance id for messages.

        Raises:
            BadAudio: It cannot be used; the message says why.
        """
        if isinstance(speech, (str, PathLike)):
            with open_sound(speech, utt_id) as sound:
                source, channels = Path(speech), sound.channels
                rate, num_samples = sound.samplerate, sound.frames
        else:
            source = _as_array(speech, utt_id)
            rate = self.sample_rate if rate is None else int(rate)
            num_samples, channels = source.shape
        if not MIN_RATE <= rate <= MAX_RATE:
            raise BadAudio(
                utt_id,
                f"sampling rate is {rate} Hz; {MIN_RATE} to {MAX_RATE} can be used",
            )
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
        return Audio(utt_id, source, rate, num_samples, self.sample_rate, self.channel)

    def _say_once(self, what: str, utt_id: str) -> None:
        if what not in self._said:
            self._said.add(what)
            logging.warning(f"{what} (first: '{utt_id}'; not said again)")


def _as_array(speech, utt_id: str) -> np.ndarray:
    """View samples of any kind as (S, C) of a type that `_scaled` knows."""
    if hasattr(speech, "detach"):
        speech = speech.detach().cpu().numpy()
    speech = np.asarray(speech)
    known = np.issubdtype(speech.dtype, np.floating) or speech.dtype in _FULL_SCALE
    if not known:
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


_FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


def _scaled(block: np.ndarray) -> np.ndarray:
    """Return samples as float32; PCM lands in [-1, 1], as soundfile reads it."""
    full_scale = _FULL_SCALE.get(block.dtype)
    block = block.astype(np.float32, copy=False)
    return block if full_scale is None else block / np.float32(full_scale)
