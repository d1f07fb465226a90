"""CMU's AN4 corpus: people spell and read addresses, names, dates and numbers.

lhotse has no recipe for it. Its files are in NIST SPHERE format (in ``wav``), which
libsndfile reads, or the same in others (in ``flac``); the data folders hold wav.
"""

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import numpy as np
import soundfile
from tqdm import tqdm

from espnet_blankskip.audio.reading import BadAudio, read_audio
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.dropped import report_dropped
from espnet_blankskip.corpora.fetching import fetch_archive, unpack
from espnet_blankskip.corpora.sources import SourceMissing, find_source
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.kaldi.lists import read_lines

SAMPLING_RATE = 16000
ARCHIVE_NAME = "an4_sphere.tar.gz"
#: Its home, and the copies of ESPnet and of NVIDIA's NeMo.
ARCHIVE_URLS = (
    f"http://www.speech.cs.cmu.edu/databases/an4/{ARCHIVE_NAME}",
    f"https://huggingface.co/datasets/espnet/an4/resolve/main/{ARCHIVE_NAME}",
    f"https://dldata-public.s3.us-east-2.amazonaws.com/{ARCHIVE_NAME}",
)
ARCHIVE_CHECKSUM = (
    "sha256:a0525579493735d32b60fb6fa5975dd0eaacde087b0a4eeb7f13b7ef33077b12"
)
#: Folder of the audio, and how its files' names end.
AUDIO = {"wav": (".sph",), "flac": (".flac", ".ogg")}
PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
#: As in ESPnet's recipe: the first ones in the order of their ids.
DEV_UTTERANCES = 100

#: ``<s> MARCH THIRD </s> (cen8-fbbh-b)``; the sentence marks are optional.
TRANSCRIPT = re.compile(
    r"(?:<s>\s+)?(?P<words>.*?)(?:\s+</s>)?\s*\("
    r"(?P<prompt>[^-()]+)-(?P<speaker>[^-()]+)-(?P<take>[^-()]+)\)"
)


@dataclass(frozen=True, order=True)
class An4Utterance:
    """One utterance of AN4."""

    utt_id: str
    speaker: str
    text: str
    audio: Path


@contextmanager
def an4_root(source: Path, archive_name: str = ARCHIVE_NAME) -> Iterator[Path]:
    """The ``an4`` folder of an archive, or of a folder that holds one or is one.

    Raises:
        SourceMissing: If there is none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        archive, folder = archive_in(source, archive_name), source
        if archive.is_file():
            folder = Path(scratch) / "unpacked"
            unpack(archive, folder)
        root = root_in(folder)
        if root is not None:
            yield root
            return
    raise SourceMissing(f"no {archive_name} or an4/etc and an4/wav in {source}")


def archive_in(source: Path, archive_name: str) -> Path:
    """Where the archive would be; a source that is no folder is the archive."""
    return source / archive_name if source.is_dir() else source


def root_in(folder: Path) -> Optional[Path]:
    """The ``an4`` folder of an unpacked archive, or of a folder that is one."""
    for root in (folder, folder / "an4", folder / "downloads" / "an4"):
        if (root / "etc").is_dir() and any((root / name).is_dir() for name in AUDIO):
            return root
    return None


def is_an4(source: Path) -> bool:
    """Whether a path is the archive or holds the unpacked corpus."""
    return archive_in(source, ARCHIVE_NAME).is_file() or root_in(source) is not None


def read_part(root: Path, part: str) -> List[An4Utterance]:
    """Utterances of ``train`` or ``test``, sorted by id.

    Raises:
        ValueError: If a transcript line cannot be understood.
    """
    utterances = []
    files = audio_files(root, part)
    transcripts = root / "etc" / f"an4_{part}.transcription"
    if not transcripts.is_file():
        raise SourceMissing(f"{transcripts} is missing")
    for line in read_lines(transcripts):
        if not line.strip():
            continue
        match = TRANSCRIPT.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"an4: {transcripts.name}: cannot read {line!r}")
        prompt, speaker, take = match["prompt"], match["speaker"], match["take"]
        name = f"{prompt}-{speaker}-{take}"
        missing = root / "wav" / PARTS[part] / speaker / f"{name}.sph"
        utt_id = f"{speaker}-{prompt}-{take}"
        audio = files.get(name, missing)
        utterances.append(An4Utterance(utt_id, speaker, match["words"], audio))
    return sorted(utterances)


def audio_files(root: Path, part: str) -> Dict[str, Path]:
    """Audio of a part by its name."""
    return {
        path.stem: path
        for folder, suffixes in AUDIO.items()
        for path in (root / folder / PARTS[part]).rglob("*")
        if path.suffix in suffixes
    }


def write_set(
    sets: StagedSets, name: str, utterances: List[An4Utterance], untold: Dict[str, str]
) -> None:
    """Fill one data folder, converting its audio to wav.

    Args:
        sets: Where it goes.
        name: Name of the set.
        utterances: What goes into it.
        untold: Audio of the part that has no transcript, with the reason.
    """
    folder = sets.open(name)
    folder.dropped.update(untold)
    for utterance in tqdm(utterances, desc=f"converting {name}", disable=None):
        try:
            audio = read_samples(utterance)
        except BadAudio as problem:
            folder.dropped[utterance.utt_id] = problem.reason
        else:
            folder.add(utterance.utt_id, utterance.speaker, utterance.text, audio)
    report_dropped(folder)


def read_samples(utterance: An4Utterance) -> np.ndarray:
    """16-bit samples (samples,).

    Raises:
        BadAudio: If it cannot be read or has another format.
    """
    read_audio(utterance.audio, utterance.utt_id, SAMPLING_RATE)
    audio, _ = soundfile.read(utterance.audio, dtype="int16")
    if audio.ndim != 1:
        raise BadAudio(utterance.utt_id, f"has {audio.shape[1]} channels, 1 expected")
    return audio


def without_transcript(
    root: Path, part: str, utterances: List[An4Utterance]
) -> Dict[str, str]:
    """Audio files of a part that no transcript belongs to, by their name."""
    listed = {utterance.audio.stem for utterance in utterances}
    recorded = audio_files(root, part).keys()
    return {name: "has audio and no transcript" for name in recorded - listed}


def write_sets(sets: StagedSets, root: Path, dev_utterances: int) -> None:
    """Make train_nodev, train_dev and test of an ``an4`` folder."""
    train, test = read_part(root, "train"), read_part(root, "test")
    untold = without_transcript(root, "train", train)
    write_set(sets, "train_nodev", train[dev_utterances:], untold)
    write_set(sets, "train_dev", train[:dev_utterances], {})
    write_set(sets, "test", test, without_transcript(root, "test", test))


def make(sets: StagedSets, options: CorpusOptions) -> None:
    """Make train_nodev, train_dev and test.

    Raises:
        SourceMissing: If the corpus is not there and cannot be fetched.
    """
    source = find_source("AN4", "an4", options.downloads, is_an4)
    if source is None:
        try:
            source = fetch_archive(
                ARCHIVE_URLS, ARCHIVE_CHECKSUM, options.downloads / "an4"
            )
        except SourceMissing as reason:
            raise SourceMissing(f"set AN4 to the corpus an4: {reason}") from reason
    with an4_root(source) as root:
        write_sets(sets, root, DEV_UTTERANCES)
