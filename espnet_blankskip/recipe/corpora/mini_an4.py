"""ESPnet's own test data: eight utterances of CMU's AN4 corpus.

The archive ``downloads.tar.gz`` of ESPnet's ``egs2/mini_an4/asr1`` holds them in
NIST SPHERE format, which libsndfile reads. One of the eight has no transcript; the
seven others are split as ESPnet splits them.
"""

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List

import soundfile

from espnet_blankskip.recipe.corpora.options import CorpusOptions
from espnet_blankskip.recipe.corpora.sources import SourceMissing, find_source, unpack
from espnet_blankskip.recipe.corpora.staging import StagedSets

SAMPLING_RATE = 16000
ARCHIVE_NAME = "downloads.tar.gz"
PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
DEV_UTTERANCES = 1

#: ``<s> MARCH THIRD </s> (cen8-fbbh-b)``; the sentence marks are optional.
TRANSCRIPT = re.compile(
    r"(?:<s>\s+)?(?P<words>.*?)(?:\s+</s>)?\s*\("
    r"(?P<prompt>[^-()]+)-(?P<speaker>[^-()]+)-(?P<take>[^-()]+)\)"
)


@dataclass(frozen=True, order=True)
class Utterance:
    """One utterance of AN4."""

    utt_id: str
    speaker: str
    text: str
    sphere: Path


@contextmanager
def an4_root(source: Path) -> Iterator[Path]:
    """The ``an4`` folder of an archive, or of a folder that holds one or is one.

    Raises:
        SourceMissing: If there is none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        archive = source / ARCHIVE_NAME if source.is_dir() else source
        folder = source
        if archive.is_file():
            folder = Path(scratch) / "unpacked"
            unpack(archive, folder)
        for root in (folder, folder / "an4", folder / "downloads" / "an4"):
            if (root / "etc").is_dir() and (root / "wav").is_dir():
                yield root
                return
    raise SourceMissing(f"no {ARCHIVE_NAME} or an4/etc and an4/wav in {source}")


def read_part(root: Path, part: str) -> List[Utterance]:
    """Utterances of ``train`` or ``test``, sorted by id.

    Raises:
        ValueError: If a transcript line cannot be understood.
    """
    utterances = []
    transcripts = root / "etc" / f"an4_{part}.transcription"
    if not transcripts.is_file():
        raise SourceMissing(f"{transcripts} is missing")
    for line in transcripts.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        match = TRANSCRIPT.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"mini_an4: {transcripts.name}: cannot read {line!r}")
        prompt, speaker, take = match["prompt"], match["speaker"], match["take"]
        sphere = root / "wav" / PARTS[part] / speaker / f"{prompt}-{speaker}-{take}.sph"
        utt_id = f"{speaker}-{prompt}-{take}"
        utterances.append(Utterance(utt_id, speaker, match["words"], sphere))
    return sorted(utterances)


def write_set(sets: StagedSets, name: str, utterances: List[Utterance]) -> None:
    """Fill one data folder, converting SPHERE to wav."""
    folder = sets.open(name)
    for utterance in utterances:
        if not utterance.sphere.is_file():
            raise ValueError(
                f"utterance {utterance.utt_id}: no such file: {utterance.sphere}"
            )
        try:
            audio, rate = soundfile.read(utterance.sphere, dtype="int16")
        except (soundfile.SoundFileError, OSError) as error:
            raise ValueError(f"utterance {utterance.utt_id}: {error}") from error
        if rate != SAMPLING_RATE or audio.ndim != 1:
            raise ValueError(
                f"utterance {utterance.utt_id}: {rate} Hz, shape {audio.shape};"
                f" {SAMPLING_RATE} Hz and one channel expected"
            )
        folder.add(utterance.utt_id, utterance.speaker, utterance.text, audio)


def make(sets: StagedSets, options: CorpusOptions) -> None:
    """Make train_nodev, train_dev and test.

    Raises:
        SourceMissing: If the archive is not on this machine.
    """
    source = find_source("MINI_AN4", "mini_an4", options.downloads)
    if source is None:
        raise SourceMissing(
            f"mini_an4: set MINI_AN4 to {ARCHIVE_NAME} of ESPnet's egs2/mini_an4/asr1"
            " or to the folder that holds it"
        )
    with an4_root(source) as root:
        train = read_part(root, "train")
        write_set(sets, "train_nodev", train[DEV_UTTERANCES:])
        write_set(sets, "train_dev", train[:DEV_UTTERANCES])
        write_set(sets, "test", read_part(root, "test"))
