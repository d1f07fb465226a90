"""Connected digits from the Free Spoken Digit Dataset (FSDD, CC BY-SA 4.0).

FSDD holds single digits, ``{digit}_{speaker}_{index}.wav`` at 8 kHz. Strings of two
to eight of them by one speaker, with pauses, noise and a random level, make a small
connected-digit task on human speech. No recording is in two sets.
"""

import re
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple
from zlib import crc32

import numpy as np
import soundfile
from tqdm import tqdm

from espnet_blankskip.corpora.acoustics import as_recorded, fade_edges
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.fetching import fetch_archive
from espnet_blankskip.corpora.finding import SourceMissing, find_source
from espnet_blankskip.corpora.single_digits import WORDS, Recording
from espnet_blankskip.corpora.staging import StagedSets

SAMPLING_RATE = 8000
HOMEPAGE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
#: Six speakers. As of 2026 nothing was recorded after it.
ARCHIVE_URL = f"{HOMEPAGE}/archive/v1.0.10.tar.gz"
ARCHIVE_CHECKSUM = (
    "sha256:feb479fad3a37883c3d21ed7f982281c2dd1c18d5aefd7e8a5d50f58023392aa"
)

#: Indices 0-4 are FSDD's own test part; three more per digit are held out for dev.
TEST_INDICES = range(0, 5)
DEV_INDICES = range(5, 8)

DIGITS_PER_STRING = (2, 8)
#: Of test_long, whose strings are as long as sentences; as it is called in tables.
DIGITS_PER_LONG_STRING = (8, 16)
LONG_CONTENT = "strings of 8 to 16 digits"
PAUSE_SECONDS = (0.05, 0.5)
EDGE_SILENCE_SECONDS = (0.1, 0.4)
DEV_UTTERANCES = 120
TEST_UTTERANCES = 250
LONG_UTTERANCES = 100
UNSEEN_SPEAKER_UTTERANCES = 150

FILE_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[A-Za-z]+)_(?P<index>\d+)\.wav")


def read_recordings(folder: Path) -> List[Recording]:
    """Read all digits in a folder, or in its ``recordings`` folder.

    Raises:
        SourceMissing: If there are none.
        ValueError: If one cannot be read or has another format.
    """
    inner = folder / "recordings"
    folder = inner if inner.is_dir() else folder
    recordings = []
    for path in sorted(folder.glob("*.wav")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            audio, rate = soundfile.read(path, dtype="float64")
        except (soundfile.SoundFileError, OSError) as error:
            raise ValueError(f"fsdd recording {path}: {error}") from error
        if rate != SAMPLING_RATE or audio.ndim != 1 or len(audio) == 0:
            raise ValueError(
                f"fsdd recording {path}: {rate} Hz, shape {audio.shape};"
                f" {SAMPLING_RATE} Hz and one channel expected"
            )
        digit, index = int(match["digit"]), int(match["index"])
        recordings.append(Recording(digit, match["speaker"], index, audio))
    if not recordings:
        raise SourceMissing(f"no file like 7_jackson_32.wav in {folder}")
    return recordings


def deal(
    recordings: Sequence[Recording],
    rng: np.random.Generator,
    digits_per_string: Tuple[int, int],
) -> Iterator[List[Recording]]:
    """Deal strings of digits for ever, using every recording before any one again."""
    low, high = digits_per_string
    deck: List[int] = []
    while True:
        string = []
        for _ in range(rng.integers(low, high, endpoint=True)):
            if not deck:
                deck = list(rng.permutation(len(recordings)))
            string.append(recordings[deck.pop()])
        yield string


def connect(string: Sequence[Recording], rng: np.random.Generator) -> np.ndarray:
    """One utterance (samples,) from single digits: pauses between, silence around."""

    def silence(seconds) -> np.ndarray:
        return np.zeros(int(rng.uniform(*seconds) * SAMPLING_RATE))

    pieces = [silence(EDGE_SILENCE_SECONDS)]
    for number, recording in enumerate(string):
        if number > 0:
            pieces.append(silence(PAUSE_SECONDS))
        pieces.append(fade_edges(recording.audio, SAMPLING_RATE))
    pieces.append(silence(EDGE_SILENCE_SECONDS))
    return as_recorded(np.concatenate(pieces), rng)


def by_speaker(recordings: Sequence[Recording]) -> Dict[str, List[Recording]]:
    """Recordings of each speaker, speakers in alphabetical order."""
    groups: Dict[str, List[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.speaker, []).append(recording)
    return dict(sorted(groups.items()))


def write_set(
    sets: StagedSets,
    name: str,
    recordings: Sequence[Recording],
    seed: int,
    utterances: int = 0,
    hours: float = 0.0,
    digits_per_string: Tuple[int, int] = DIGITS_PER_STRING,
    content: str = "",
) -> None:
    """Fill one data folder, up to so many utterances or, if 0, so many hours.

    Each speaker has the same share.
    """
    folder = sets.open(name)
    folder.content = content
    prefix = "synthetic_" if folder.speech_kind == "synthetic" else ""
    groups = by_speaker(recordings)
    for speaker, own in tqdm(
        groups.items(), desc=f"connecting digits for {name}", disable=None
    ):
        # A stream of its own for every set and speaker: leaving one speaker out
        # does not change the utterances of the others.
        rng = np.random.default_rng([seed, crc32(f"{name}/{speaker}".encode())])
        seconds = 0.0
        for number, string in enumerate(deal(own, rng, digits_per_string)):
            few = number * len(groups) < utterances
            short = seconds * len(groups) < 3600 * hours
            if not (few or short):
                break
            audio = connect(string, rng)
            text = " ".join(WORDS[recording.digit] for recording in string)
            speaker_id = prefix + speaker
            utt_id = f"{speaker_id}-{name}-{number:05d}"
            parts = " ".join(f"{r.digit}_{speaker}_{r.index}" for r in string)
            folder.add(utt_id, speaker_id, text, audio, utt2recordings=parts)
            seconds += len(audio) / SAMPLING_RATE


def make(sets: StagedSets, options: CorpusOptions) -> None:
    """Make train_nodev (of some hours), train_dev, test, test_long and test_SPEAKER.

    The last is made if ``options.exclude_speaker`` names somebody.

    Raises:
        ValueError: If ``exclude_speaker`` is not among the speakers.
    """
    recordings = find_recordings(sets, options)
    speakers = list(by_speaker(recordings))
    left_out = options.exclude_speaker
    if left_out is not None and left_out not in speakers:
        names = ", ".join(speakers)
        raise ValueError(f"--exclude-speaker {left_out} must be one of {names}")
    seen = [r for r in recordings if r.speaker != left_out]
    held_out = (*TEST_INDICES, *DEV_INDICES)
    train = [r for r in seen if r.index not in held_out]
    dev = [r for r in seen if r.index in DEV_INDICES]
    test = [r for r in seen if r.index in TEST_INDICES]
    for part, content in (("training", train), ("dev", dev), ("test", test)):
        if not content:
            raise ValueError(f"fsdd: no recordings for the {part} set")
    write_set(sets, "train_nodev", train, options.seed, hours=options.train_hours)
    write_set(sets, "train_dev", dev, options.seed, utterances=DEV_UTTERANCES)
    write_set(sets, "test", test, options.seed, utterances=TEST_UTTERANCES)
    write_set(
        sets,
        "test_long",
        test,
        options.seed,
        utterances=LONG_UTTERANCES,
        digits_per_string=DIGITS_PER_LONG_STRING,
        content=LONG_CONTENT,
    )
    if left_out is not None:
        unseen = [r for r in recordings if r.speaker == left_out]
        name, count = f"test_{left_out}", UNSEEN_SPEAKER_UTTERANCES
        write_set(sets, name, unseen, options.seed, utterances=count)


def find_recordings(sets: StagedSets, options: CorpusOptions) -> List[Recording]:
    """Human recordings from here or their public home, else synthetic digits.

    Sets ``sets.speech_kind`` accordingly.
    """
    folder = find_source("FSDD", "fsdd", options.downloads)
    if folder is not None:
        return read_recordings(folder)
    try:
        folder = fetch_archive(
            [ARCHIVE_URL], ARCHIVE_CHECKSUM, options.downloads / "fsdd"
        )
        return read_recordings(folder)
    except SourceMissing as reason:
        print(
            f"fsdd: {reason}\n"
            "fsdd: no human recordings at hand (set FSDD to a copy of"
            f" {HOMEPAGE} to use them).\n"
            "fsdd: making SYNTHETIC digits with espeak-ng instead; results on them"
            " say nothing about human speech.",
            flush=True,
        )
    from espnet_blankskip.corpora.synthetic_digits import speak_digits

    sets.speech_kind = "synthetic"
    return speak_digits(SAMPLING_RATE, options.seed)
