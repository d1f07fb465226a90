"""Kaldi-style data folders: written whole or not at all, and checked before use."""

import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np
import soundfile

from espnet_blankskip.audio import BadAudio, read_audio

#: Written last; a folder without it was not made by this package.
RECORD_NAME = "corpus.json"
KIND_NAME = "speech_kind"
SPEECH_KINDS = ("human", "synthetic")


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
        self.samples = 0
        self._partial = self.path.parent / f".{self.path.name}.partial"
        self._rows: Dict[str, Tuple[str, str, int]] = {}
        self._extra: Dict[str, Dict[str, str]] = defaultdict(dict)
        refuse_foreign_folder(self.path)
        shutil.rmtree(self._partial, ignore_errors=True)
        (self._partial / "wav").mkdir(parents=True)

    @property
    def utterances(self) -> int:
        """How many utterances have been added."""
        return len(self._rows)

    @property
    def seconds(self) -> float:
        """Length of all audio added so far."""
        return self.samples / self.sampling_rate

    def wav_path(self, utt_id: str, speaker: str) -> Path:
        """Where an utterance's audio must be written before :meth:`register`."""
        folder = self._partial / "wav" / speaker
        folder.mkdir(exist_ok=True)
        return folder / f"{utt_id}.wav"

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
        target = self.wav_path(utt_id, speaker)
        try:
            soundfile.write(target, audio, self.sampling_rate, subtype="PCM_16")
        except soundfile.SoundFileError as error:
            raise OSError(f"utterance {utt_id}: cannot write: {error}") from error
        self.register(utt_id, speaker, text, len(audio), **extra)

    def register(
        self, utt_id: str, speaker: str, text: str, samples: int, **extra: str
    ) -> None:
        """List an utterance whose audio is already at :meth:`wav_path`.

        Raises:
            ValueError: If the id is taken or does not fit the speaker's id.
        """
        if utt_id in self._rows:
            raise ValueError(f"utterance {utt_id}: the id is used twice")
        # Kaldi wants the lists sorted by utterance and by speaker at once, which
        # holds if no speaker's id goes on with the separator of another's.
        if "-" in speaker or not utt_id.startswith(f"{speaker}-"):
            raise ValueError(
                f"utterance {utt_id}: must start with its speaker and a hyphen, and"
                f" the speaker, {speaker}, must have none"
            )
        self._rows[utt_id] = (speaker, text, samples)
        for name, value in extra.items():
            self._extra[name][utt_id] = value
        self.samples += samples

    def commit(self, record: Dict[str, object]) -> None:
        """Write the lists, then put the folder in its final place.

        Args:
            record: What made this folder; kept in ``corpus.json``.

        Raises:
            FileExistsError: If a folder that this package did not make is in the way.
        """
        by_speaker = defaultdict(list)
        lines = defaultdict(list)
        # Python compares code points, which for UTF-8 is the order of LC_ALL=C sort.
        for utt_id, (speaker, text, samples) in sorted(self._rows.items()):
            wav = self.path / "wav" / speaker / f"{utt_id}.wav"
            lines["wav.scp"].append(f"{utt_id} {wav}")
            lines["text"].append(f"{utt_id} {text}")
            lines["utt2spk"].append(f"{utt_id} {speaker}")
            lines["utt2num_samples"].append(f"{utt_id} {samples}")
            by_speaker[speaker].append(utt_id)
        for name, values in self._extra.items():
            lines[name] = [f"{utt_id} {values[utt_id]}" for utt_id in sorted(values)]
        for speaker, utt_ids in sorted(by_speaker.items()):
            lines["spk2utt"].append(f"{speaker} {' '.join(utt_ids)}")
        lines[KIND_NAME].append(self.speech_kind)
        for name, content in lines.items():
            text = "\n".join(content) + "\n"
            (self._partial / name).write_text(text, encoding="utf-8")
        record = {
            **record,
            "speech_kind": self.speech_kind,
            "sampling_rate": self.sampling_rate,
            "utterances": self.utterances,
            "hours": round(self.seconds / 3600, 3),
        }
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        (self._partial / RECORD_NAME).write_text(text, encoding="utf-8")
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


def read_table(path: Path) -> List[Tuple[str, str]]:
    """Rows ``(key, rest of the line)`` of a Kaldi-style list, in file order."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.strip():
            key, _, value = line.strip().partition(" ")
            rows.append((key, value.strip()))
    return rows


def audio_problem(
    path: str, fs: Optional[int], samples: Optional[int]
) -> Optional[str]:
    """What is wrong with one audio file, or None if nothing is.

    Args:
        path: Audio file in any format that libsndfile reads.
        fs: Sampling rate in Hz it must have; None accepts any.
        samples: Length it had when it was written; None if unknown.
    """
    try:
        channels = soundfile.info(path).channels
    except soundfile.SoundFileError:
        channels = 1  # read_audio says better what is wrong
    # Decoding mixes channels down; for training a mixture is better made on purpose.
    if channels > 1:
        return f"has {channels} channels, 1 expected"
    try:
        audio = read_audio(path, utt_id="", sample_rate=fs)
    except BadAudio as problem:
        return problem.reason
    if samples is not None and len(audio) < samples:
        return f"audio file is truncated: {len(audio)} of {samples} samples"
    return None


def check_data_folder(
    path: Path, fs: Optional[int] = None
) -> Tuple[List[str], List[Tuple[str, str]]]:
    """Find the utterances of a data folder that later stages can use.

    Args:
        path: Folder with ``wav.scp``, ``text`` and, if present, ``utt2spk`` and
            ``utt2num_samples``.
        fs: Sampling rate in Hz that every file must have; None accepts any.

    Returns:
        Ids of the good utterances in the order of ``wav.scp``, and ``(id, reason)``
        of everything that is wrong. An id out of order is reported and still good,
        because writing the list anew sorts it.

    Raises:
        FileNotFoundError: If ``wav.scp`` or ``text`` is missing.
    """
    path = Path(path)
    for name in ("wav.scp", "text"):
        if not (path / name).is_file():
            raise FileNotFoundError(f"data folder {path}: {name} is missing")
    wavs = read_table(path / "wav.scp")
    texts = dict(read_table(path / "text"))
    speakers = optional_table(path / "utt2spk")
    lengths = optional_table(path / "utt2num_samples")
    counts = Counter(utt_id for utt_id, _ in wavs)
    good: List[str] = []
    problems: List[Tuple[str, str]] = []
    previous = ""
    for utt_id, wav in wavs:
        if counts[utt_id] > 1:
            if utt_id != previous:
                problems.append((utt_id, f"id is {counts[utt_id]} times in wav.scp"))
            previous = utt_id
            continue
        if utt_id < previous:
            problems.append((utt_id, f"id is not sorted: it comes after {previous}"))
        previous = max(utt_id, previous)
        if not texts.get(utt_id):
            reason = "transcript is empty" if utt_id in texts else "has no transcript"
        elif speakers is not None and not speakers.get(utt_id):
            reason = "has no speaker in utt2spk"
        else:
            samples = (lengths or {}).get(utt_id)
            expected = int(samples) if samples else None
            reason = audio_problem(wav, fs, expected)
        if reason is None:
            good.append(utt_id)
        else:
            problems.append((utt_id, reason))
    for utt_id in sorted(set(texts) - set(counts)):
        problems.append((utt_id, "has a transcript and no wav file"))
    return good, problems


def optional_table(path: Path) -> Optional[Dict[str, str]]:
    """A Kaldi-style list as a dict, or None where the file is not there."""
    return dict(read_table(path)) if path.is_file() else None
