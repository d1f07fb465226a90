"""Open anything that libsndfile reads, and read all of it, forward.

What a header says about the length is never relied on, as there are encoders that do
not know it (a pipe's), guess it (MP3 without a table) or count only the first of
several streams. So a file is read until it ends, and then compared with its header.
"""

import os
from pathlib import Path
from typing import BinaryIO, Iterator, List, Optional, Tuple

import numpy as np
import soundfile

from espnet_blankskip.audio.bad_audio import BadAudio, damage_named
from espnet_blankskip.audio.containers import (
    SampleData,
    end_without_zeros,
    is_mpeg_audio,
    mp3_announces_length,
    ogg_links,
    remedy,
    sample_data,
)
from espnet_blankskip.audio.parts import Part
from espnet_blankskip.audio.sources import Source, lasting, opened

#: Less than this is missing from a file that is read all the same; a lost word is more.
TOLERATED_SECONDS = 0.1
# outside of it a header is damaged, and resampling would take the memory at its word
MIN_RATE, MAX_RATE = 1000, 1_000_000
#: What is read at a time, and the most of it over all channels.
BLOCK_SECONDS, MAX_BLOCK_SAMPLES = 10.0, 2**24

# What is noticed while a file is read; one text per kind, so that kinds can be counted.
NO_LENGTH = "the header gives a length of 0: everything after it is read"
TOO_LITTLE = (
    f"the header announces up to {TOLERATED_SECONDS:g} s more than there is: what is "
    "there is read"
)
NO_END = "an Ogg stream has no last page: what is there is read"
LEFT_OUT = "what follows the last MP3 frame is no audio and is left out"

# libmpg123 takes the first frame for the average one, which can be 40 times too long
_CLAIM = 64
_UNKNOWN_FRAMES = 2**62
_TAGS = (b"TAG", b"APETAGEX", b"LYRICS")
# gapless MP3 leaves its last frames, which are padding, unread
_MP3_PADDING_BYTES = 4096

# A decoder, and the samples per channel that it announces; None if that is a guess.
Stream = Tuple[soundfile.SoundFile, Optional[int]]


class _Forward(soundfile.SoundFile):
    """A file that soundfile reads without seeking after every block.

    Half of the codecs cannot seek, and some that can lose samples by it.
    """

    def seekable(self) -> bool:
        return False


class Sound:
    """An audio file that is open for reading once. Close it, or use `with`.

    Args:
        utt_id: Utterance id for messages.
        streams: What it consists of, usually one stream.
        closing: File to close at the end.
        remarks: What was noticed about its header.

    Attributes:
        rate: Sampling rate in Hz.
        channels: Number of channels.
        announced: Samples per channel as the header says; None if it does not.
        remarks: What was noticed until now; complete when everything is read.
    """

    def __init__(
        self,
        utt_id: str,
        streams: Iterator[Stream],
        closing: Optional[BinaryIO],
        remarks: List[str],
    ):
        self.utt_id = utt_id
        self._streams, self._closing = streams, closing
        self._first = next(streams)
        self.rate = self._first[0].samplerate
        check_rate(self.rate, utt_id)
        self.channels = self._first[0].channels
        self.announced = self._first[1]
        self.remarks = remarks

    def __enter__(self) -> "Sound":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self._first[0].close()
        if self._closing is not None:
            self._closing.close()

    def blocks(self) -> Iterator[np.ndarray]:
        """Read all of it.

        Yields:
            Samples (S, C) float32, in [-1, 1] for PCM; S as `block_samples` says.

        Raises:
            BadAudio: It is damaged, or ends well before the announced length.
        """
        size = block_samples(self.rate, self.channels)
        stream: Optional[Stream] = self._first
        while stream is not None:
            sound, announced = stream
            if (sound.samplerate, sound.channels) != (self.rate, self.channels):
                raise BadAudio(
                    self.utt_id,
                    f"holds streams of {self.rate} and {sound.samplerate} Hz, or of "
                    f"{self.channels} and {sound.channels} channels: divide it",
                )
            heard = 0
            while True:
                with damage_named(self.utt_id):
                    block = sound.read(size, dtype="float32", always_2d=True)
                if len(block) == 0:
                    break
                heard += len(block)
                yield block
            if announced is not None and heard < announced:
                self._missing(heard, announced)
            sound.close()
            stream = next(self._streams, None)

    def _missing(self, heard: int, announced: int) -> None:
        if announced - heard > TOLERATED_SECONDS * self.rate:
            raise BadAudio(
                self.utt_id, f"audio file is truncated: {heard} of {announced} samples"
            )
        if TOO_LITTLE not in self.remarks:
            self.remarks.append(TOO_LITTLE)


def check_rate(rate: int, utt_id: str) -> None:
    """Refuse a sampling rate in Hz that no speech has.

    Raises:
        BadAudio: It lies outside of `MIN_RATE` to `MAX_RATE`.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(
            utt_id, f"sampling rate is {rate} Hz; {MIN_RATE} to {MAX_RATE} can be used"
        )


def block_samples(rate: int, channels: int) -> int:
    """Return how many samples per channel are read at a time."""
    return max(1, min(int(BLOCK_SECONDS * rate), MAX_BLOCK_SAMPLES // channels))


def open_sound(source: Source, utt_id: str) -> Sound:
    """Open an audio file of any format that libsndfile reads (wav, flac, mp3, ...).

    Args:
        source: Path, pipe, or open binary file; a file is read from its beginning.
        utt_id: Utterance id for messages.

    Raises:
        BadAudio: It is missing, forbidden, empty, truncated or no audio.
    """
    source = lasting(source, utt_id)
    remarks: List[str] = []
    if not isinstance(source, Path):
        return Sound(utt_id, _streams(source, None, utt_id, remarks), None, remarks)
    file = opened(source, utt_id)
    try:
        return Sound(utt_id, _streams(file, source, utt_id, remarks), file, remarks)
    except BadAudio:
        file.close()
        raise


def _streams(
    file: BinaryIO, path: Optional[Path], utt_id: str, remarks: List[str]
) -> Iterator[Stream]:
    """Open what a file consists of, one stream after the other."""
    with damage_named(utt_id):
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            where = "" if path is None else f": {path}"
            raise BadAudio(utt_id, f"audio file is empty (0 bytes){where}")
        data = sample_data(file)
        patch = None if data is None else data.mended(file, size)
        if data is not None and patch is not None:
            remarks.append(NO_LENGTH)
            part = Part(file, patch=patch, patch_at=data.field)
            sound = _decoder(part, None, utt_id)
        else:
            sound = _decoder(Part(file), path, utt_id)
            if data is not None and data.size is not None:
                _check_size(data.start + data.size - size, data, sound, utt_id, remarks)
        if sound.format == "MP3":
            yield from _mp3_streams(file, size, sound, remarks)
        elif sound.format == "OGG":
            yield from _ogg_streams(file, utt_id, sound, remarks)
        else:
            yield sound, _announced(sound)


def _announced(sound: soundfile.SoundFile) -> Optional[int]:
    return sound.frames if sound.frames < _UNKNOWN_FRAMES else None


def _decoder(part: Part, path: Optional[Path], utt_id: str) -> _Forward:
    """Open a stream; by its path where that is possible, as SD2 is two files."""
    if path is not None and path.suffix.lower() == ".raw":
        path = None  # soundfile would take the name for a missing header
    try:
        return _Forward(part if path is None else os.fsencode(path))
    except soundfile.SoundFileError:
        part.seek(0)
        known = remedy(part.read(32))
        if known is None:
            raise
        raise BadAudio(utt_id, known) from None


def _check_size(
    missing: int,
    data: SampleData,
    sound: soundfile.SoundFile,
    utt_id: str,
    remarks: List[str],
) -> None:
    """Compare the bytes that a header announces with those that there are."""
    there = data.size - missing
    if missing <= 0:
        return
    samples = sound.frames * missing / there if there > 0 else float("inf")
    if samples > TOLERATED_SECONDS * sound.samplerate:
        raise BadAudio(utt_id, f"audio file is truncated by {missing} bytes")
    remarks.append(TOO_LITTLE)


def _mp3_streams(
    file: BinaryIO, size: int, first: soundfile.SoundFile, remarks: List[str]
) -> Iterator[Stream]:
    """Open MP3 files that were joined; where no table counts the frames, guess high."""
    start, end = 0, end_without_zeros(file, size)
    first.close()
    while True:
        known = mp3_announces_length(file, start)
        claim = None if known else _CLAIM * (size - start)
        part = Part(file, start, None if known else end, claim=claim)
        sound = _Forward(part)
        yield sound, _announced(sound) if known else None
        start += part.position  # libmpg123 reads frame by frame
        file.seek(start)
        head = file.read(256)
        if start + _MP3_PADDING_BYTES >= end or head.startswith(_TAGS):
            return
        if not is_mpeg_audio(head):
            remarks.append(LEFT_OUT)
            return


def _ogg_streams(
    file: BinaryIO, utt_id: str, first: soundfile.SoundFile, remarks: List[str]
) -> Iterator[Stream]:
    """Open the streams of a chained Ogg file."""
    first.close()
    links = ogg_links(file)
    if links.cut:
        raise BadAudio(
            utt_id, "audio file is truncated: its last Ogg page is not whole"
        )
    if not links.ended:
        remarks.append(NO_END)
    for start, end in links.places:
        sound = _Forward(Part(file, start, end))
        yield sound, _announced(sound)
