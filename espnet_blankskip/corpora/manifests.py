"""lhotse's manifests as Kaldi-style data folders.

A folder points at the corpus's own files wherever libsndfile reads them as a single
channel; other audio (several channels, a command, an address, another format) is read
by lhotse and written as wav, utterance by utterance.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Dict, Iterable, List, Optional, Tuple

import numpy as np
from tqdm import tqdm

from espnet_blankskip.audio.reading import BadAudio, check_samples, read_audio
from espnet_blankskip.audio.sound import open_sound
from espnet_blankskip.corpora.data_folder import Row, Segment
from espnet_blankskip.corpora.dropped import report_dropped
from espnet_blankskip.corpora.lhotse_recipes import UNREADABLE_RATE
from espnet_blankskip.corpora.sources import require_disk
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.terminal import typed_line

#: An utterance is the whole recording if it leaves out less than this, in seconds.
WHOLE_TOLERANCE = 0.01
BYTES_PER_SAMPLE = 2
#: Usual in corpora that mark speech they do not transcribe; no fault of the copy.
NO_TEXT = "transcript is empty"


@dataclass(frozen=True)
class Split:
    """A part of a corpus as lhotse describes it.

    Args:
        recordings: lhotse's ``Recording`` by its id.
        supervisions: lhotse's ``SupervisionSegment`` of every utterance.
    """

    recordings: Dict[str, object]
    supervisions: List[object]

    @classmethod
    def joined(cls, splits: Iterable["Split"]) -> "Split":
        """Several splits as one."""
        recordings: Dict[str, object] = {}
        supervisions: List[object] = []
        for split in splits:
            recordings.update(split.recordings)
            supervisions.extend(split.supervisions)
        return cls(recordings, supervisions)


@dataclass(frozen=True)
class AudioFile:
    """A file of one channel that libsndfile reads."""

    path: Path
    rate: int
    samples: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.rate


def write_set(
    sets: StagedSets, name: str, split: Split, dropped: Optional[Dict[str, str]] = None
) -> None:
    """Make one data folder of a split.

    Args:
        sets: Where it goes.
        name: Name of the set.
        split: What goes into it.
        dropped: Why utterances of the corpus are not in the split, by utterance.

    Raises:
        ValueError: If nothing or too little of it can be used.
        OSError: If audio that must be written anew does not fit on the disk.
    """
    folder = sets.open(name)
    folder.dropped.update(dropped or {})
    names = kaldi_names(split.supervisions)
    files = find_files(split, name)
    needs_room(sets, name, split, files)
    segmented = not all(
        is_whole(s, files[s.recording_id])
        for s in split.supervisions
        if files.get(s.recording_id) is not None
    )
    for supervision in tqdm(
        split.supervisions, desc=f"{name}: utterances", disable=None
    ):
        utt_id, speaker = names[supervision.id]
        text = " ".join((supervision.text or "").split())
        recording = split.recordings.get(supervision.recording_id)
        try:
            if not text:
                raise BadAudio(utt_id, NO_TEXT)
            if recording is None:
                raise BadAudio(utt_id, "has no recording")
            file = files[recording.id]
            if file is None:
                audio = load_utterance(utt_id, supervision, recording)
                rate = recording.sampling_rate
                path = folder.write(utt_id, speaker, audio, rate)
                file = AudioFile(path, rate, len(audio))
                part = Segment(utt_id, 0.0, file.seconds)
            else:
                end = min(supervision.end, file.seconds)
                part = Segment(clean(recording.id), supervision.start, end)
                if end <= part.start:
                    raise BadAudio(utt_id, "begins after the end of its recording")
        except BadAudio as problem:
            folder.dropped[utt_id] = problem.reason
            continue
        if segmented:
            row = Row(speaker, text, file.path, segment=part)
        else:
            row = Row(speaker, text, file.path, samples=file.samples)
        folder.refer(utt_id, row, part.end - part.start)
    report_dropped(folder, not_counted=NO_TEXT)


def find_files(split: Split, name: str) -> Dict[str, Optional[AudioFile]]:
    """The file of every recording that is used, None where lhotse has to read it."""
    used = {supervision.recording_id for supervision in split.supervisions}
    recordings = [r for r in split.recordings.values() if r.id in used]
    bar = tqdm(recordings, desc=f"{name}: recordings", leave=False, disable=None)
    return {recording.id: plain_file(recording) for recording in bar}


def plain_file(recording) -> Optional[AudioFile]:
    """The file of a recording if later stages can read it as it is, else None."""
    source = recording.sources[0]
    plain = len(recording.sources) == 1 and source.type == "file"
    if not plain or recording.transforms or recording.sampling_rate == UNREADABLE_RATE:
        return None
    try:
        with open_sound(source.source, recording.id) as sound:
            if sound.channels > 1 or not sound.announced:
                return None
            path = Path(source.source).absolute()
            return AudioFile(path, sound.rate, sound.announced)
    except BadAudio:
        return None


def is_whole(supervision, file: AudioFile) -> bool:
    """Whether an utterance is all of its recording."""
    left_out = max(supervision.start, file.seconds - supervision.end)
    return left_out < WHOLE_TOLERANCE


def needs_room(
    sets: StagedSets, name: str, split: Split, files: Dict[str, Optional[AudioFile]]
) -> None:
    """Refuse to write more audio than the disk can hold.

    Raises:
        OSError: If there is too little space.
    """
    samples = 0.0
    for supervision in split.supervisions:
        recording = split.recordings.get(supervision.recording_id)
        if recording is None or files[recording.id] is not None:
            continue
        if recording.sampling_rate != UNREADABLE_RATE:
            samples += supervision.duration * recording.sampling_rate
    if samples:
        gigabytes = samples * BYTES_PER_SAMPLE / 1e9
        require_disk(sets.output, gigabytes, f"the audio of {name}")


def load_utterance(utt_id: str, supervision, recording) -> np.ndarray:
    """Audio (samples,) of an utterance through lhotse; the first of several channels.

    Raises:
        BadAudio: If it cannot be read; the reason says what may be missing.
    """
    if recording.sampling_rate == UNREADABLE_RATE:
        read_audio(recording.sources[0].source, utt_id)
        raise BadAudio(utt_id, "lhotse cannot open its audio file")
    if str(recording.sources[0].source).endswith(".sph") and not which("sph2pipe"):
        raise BadAudio(utt_id, "needs sph2pipe, which is not on the PATH")
    channel = supervision.channel
    try:
        audio = recording.load_audio(
            channels=channel if isinstance(channel, int) else channel[0],
            offset=supervision.start,
            duration=supervision.duration,
        )
    except Exception as error:  # depends on the source and on lhotse's back end
        raise BadAudio(utt_id, f"lhotse cannot read it: {typed_line(error)}") from None
    return check_samples(audio[0], utt_id)


def kaldi_names(supervisions: Iterable) -> Dict[str, Tuple[str, str]]:
    """Utterance and speaker ids that sort alike, which Kaldi's lists have to.

    The corpus's own ids stay where they do. Elsewhere the speaker is put in front of
    the utterance. An utterance without a speaker is its own speaker.

    Returns:
        ``(utterance, speaker)`` by the supervision's id.
    """
    names = {s.id: (clean(s.id), clean(s.speaker or s.id)) for s in supervisions}
    by_speaker = sorted(names.values(), key=lambda name: (name[1], name[0]))
    if by_speaker == sorted(names.values()):
        return names
    prefixed = {}
    for key, (utt_id, speaker) in names.items():
        # Nothing that sorts before the hyphen may follow a shorter speaker's id.
        speaker = re.sub(r"[!-\-]", "_", speaker)
        prefixed[key] = (f"{speaker}-{utt_id}", speaker)
    return prefixed


def clean(name: str) -> str:
    """An id without white space and slashes: it is a field of lists and a file name."""
    return re.sub(r"[\s/]+", "_", str(name))
