"""Kaldi-style data folders, written whole or not at all."""

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np
import soundfile

from espnet_blankskip.kaldi.file_names import file_stem
from espnet_blankskip.kaldi.lists import write_rows
from espnet_blankskip.kaldi.utterances import DROPPED
from espnet_blankskip.kaldi.whole_file import write_whole

#: Written last; a folder without it was not made by this package.
RECORD_NAME = "corpus.json"
KIND_NAME = "speech_kind"
CONTENT_NAME = "content"
SPEECH_KINDS = ("human", "synthetic")


@dataclass(frozen=True)
class Segment:
    """The part of a recording that is an utterance, in seconds."""

    recording_id: str
    start: float
    end: float


@dataclass(frozen=True)
class Row:
    """What the lists of a folder say about one utterance.

    ``samples`` is the length of the audio file, where the utterance is all of it.
    """

    speaker: str
    text: str
    audio: Path
    samples: Optional[int] = None
    segment: Optional[Segment] = None


class DataFolderWriter:
    """One data set on its way to disk.

    Everything goes into a hidden folder beside the final one; :meth:`commit` renames
    it, so that a killed preparation never leaves a folder that looks finished.

    Args:
        path: Final folder, for example ``data/train_nodev``.
        sampling_rate: Sampling rate of every utterance in Hz.
        speech_kind: ``human`` or ``synthetic``.

    Raises:
        ValueError: If ``speech_kind`` is neither.
        FileExistsError: If a folder that this package did not make is in the way.
    """

    def __init__(self, path: Path, sampling_rate: int, speech_kind: str):
        if speech_kind not in SPEECH_KINDS:
            raise ValueError(
                f"speech_kind={speech_kind!r} must be one of {SPEECH_KINDS}"
            )
        self.path = Path(path).absolute()
        self.sampling_rate = sampling_rate
        self.speech_kind = speech_kind
        self.seconds = 0.0
        #: What the set is made of, where its name does not tell; in every table.
        self.content = ""
        #: Why utterances of the corpus are not in the folder, by utterance.
        self.dropped: Dict[str, str] = {}
        self._partial = self.path.parent / f".{self.path.name}.partial"
        self._rows: Dict[str, Row] = {}
        self._extra: Dict[str, Dict[str, str]] = defaultdict(dict)
        refuse_foreign_folder(self.path)
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)

    @property
    def utterances(self) -> int:
        """How many utterances have been added."""
        return len(self._rows)

    def wav_path(self, utt_id: str, speaker: str) -> Path:
        """Where an utterance's audio must be written before :meth:`register`."""
        folder = self._partial / "wav" / file_stem(speaker)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{file_stem(utt_id)}.wav"

    def write(self, utt_id: str, speaker: str, audio: np.ndarray, rate: int) -> Path:
        """Write audio (samples,) in [-1, 1] as 16-bit PCM.

        Returns:
            Where it is once the folder is committed.

        Raises:
            OSError: If it cannot be written.
        """
        target = self.wav_path(utt_id, speaker)
        try:
            soundfile.write(target, audio, rate, subtype="PCM_16")
        except soundfile.SoundFileError as error:
            raise OSError(f"utterance {utt_id}: cannot write: {error}") from error
        return self._final(target)

    def add(
        self, utt_id: str, speaker: str, text: str, audio: np.ndarray, **extra: str
    ) -> None:
        """Write one utterance as 16-bit PCM.

        Args:
            utt_id: Unique id that starts with the speaker's id and a hyphen.
            speaker: Speaker id, without hyphens.
            text: Transcript, words separated by one space.
            audio: Samples in [-1, 1], shape (samples,).
            extra: Further lists, as ``name of the list=value for this utterance``.
        """
        self.write(utt_id, speaker, audio, self.sampling_rate)
        self.register(utt_id, speaker, text, len(audio), **extra)

    def register(
        self, utt_id: str, speaker: str, text: str, samples: int, **extra: str
    ) -> None:
        """List an utterance whose audio is already at :meth:`wav_path`.

        Raises:
            ValueError: If the id is taken or does not fit the speaker's id.
        """
        # Kaldi wants the lists sorted by utterance and by speaker at once, which
        # holds if no speaker's id goes on with the separator of another's.
        if "-" in speaker or not utt_id.startswith(f"{speaker}-"):
            raise ValueError(
                f"utterance {utt_id}: must start with its speaker and a hyphen, and"
                f" the speaker, {speaker}, must have none"
            )
        audio = self._final(self.wav_path(utt_id, speaker))
        self.refer(
            utt_id, Row(speaker, text, audio, samples), samples / self.sampling_rate
        )
        for name, value in extra.items():
            self._extra[name][utt_id] = value

    def refer(self, utt_id: str, row: Row, seconds: float) -> None:
        """List an utterance whose audio is, and stays, in a file of its corpus.

        Args:
            utt_id: Unique id; ids and speakers must sort alike.
            row: What to list. Either all utterances of a folder have segments or none.
            seconds: Its length.

        Raises:
            ValueError: If the id is taken.
        """
        if utt_id in self._rows:
            raise ValueError(f"utterance {utt_id}: the id is used twice")
        self._rows[utt_id] = row
        self.seconds += seconds

    def _final(self, path: Path) -> Path:
        """Where a file that is being written will be."""
        return self.path / path.relative_to(self._partial)

    def commit(self, record: Dict[str, object]) -> None:
        """Write the lists, then put the folder in its final place.

        Args:
            record: What made this folder; kept in ``corpus.json``.

        Raises:
            ValueError: If two recordings have the same id.
            FileExistsError: If a folder that this package did not make is in the way.
        """
        by_speaker = defaultdict(list)
        lists: Dict[str, List[Tuple[str, str]]] = defaultdict(list)
        recordings: Dict[str, Path] = {}
        for utt_id, row in sorted(self._rows.items()):
            key = utt_id
            if row.segment is not None:
                key = row.segment.recording_id
                times = f"{row.segment.start:.6f} {row.segment.end:.6f}"
                lists["segments"].append((utt_id, f"{key} {times}"))
            if recordings.setdefault(key, row.audio) != row.audio:
                raise ValueError(f"recording {key}: the id is used twice")
            lists["text"].append((utt_id, row.text))
            lists["utt2spk"].append((utt_id, row.speaker))
            if row.samples is not None:
                lists["utt2num_samples"].append((utt_id, str(row.samples)))
            by_speaker[row.speaker].append(utt_id)
        lists["wav.scp"] = [(key, str(path)) for key, path in recordings.items()]
        if self.dropped:
            lists[DROPPED] = list(self.dropped.items())
        for name, values in self._extra.items():
            lists[name] = list(values.items())
        for speaker, utt_ids in by_speaker.items():
            lists["spk2utt"].append((speaker, " ".join(utt_ids)))
        for name, rows in lists.items():
            write_rows(self._partial / name, rows)
        write_whole(self._partial / KIND_NAME, f"{self.speech_kind}\n")
        if self.content:
            write_whole(self._partial / CONTENT_NAME, f"{self.content}\n")
        record = {
            **record,
            "speech_kind": self.speech_kind,
            "sampling_rate": self.sampling_rate,
            "utterances": self.utterances,
            "hours": round(self.seconds / 3600, 3),
        }
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        write_whole(self._partial / RECORD_NAME, text)
        remove_data_folder(self.path)
        self._partial.rename(self.path)

    def discard(self) -> None:
        """Remove what was written so far, after a failure."""
        shutil.rmtree(self._partial, ignore_errors=True)


def read_record(path: Path) -> Optional[Dict[str, object]]:
    """What made a data folder, or None if this package did not make (all of) it."""
    try:
        return json.loads((Path(path) / RECORD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def refuse_foreign_folder(path: Path) -> None:
    """Protect data that this package did not make.

    Raises:
        FileExistsError: If the folder holds somebody else's data.
    """
    if path.exists() and read_record(path) is None and any(path.iterdir()):
        raise FileExistsError(
            f"--output: {path} exists and was not made by this command;"
            " remove it or choose another folder"
        )


def remove_data_folder(path: Path) -> None:
    """Remove a data folder made by this package; nothing happens if there is none.

    Raises:
        FileExistsError: If the folder holds somebody else's data.
    """
    path = Path(path)
    refuse_foreign_folder(path)
    if path.exists():
        shutil.rmtree(path)
