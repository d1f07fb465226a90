"""Mini LibriSpeech: five hours of read English, https://www.openslr.org/31.

Trained on ``train-clean-5``, validated on ``dev-clean-2``, tested on LibriSpeech's
``test-clean`` (https://www.openslr.org/12). A folder with other dev and test parts, as
in :data:`CHOICES`, makes the same sets of these, and every table says so.
"""

from pathlib import Path
from typing import Dict, Tuple

from tqdm import tqdm

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.sound import open_sound
from espnet_blankskip.corpora import lhotse_recipes
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.data_folder import Row
from espnet_blankskip.corpora.dropped import report_dropped, unpaired
from espnet_blankskip.corpora.librispeech import FOLDER, absent, corpus_root
from espnet_blankskip.corpora.sources import (
    SourceMissing,
    find_given,
    require_disk,
    was_unpacked,
)
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.kaldi.lists import read_table

SET_NAMES = ("train_clean_5", "dev", "test")
#: Parts that make the sets, and what is said of them; the first ones are downloaded.
CHOICES: Tuple[Dict[str, str], ...] = (
    {
        "train-clean-5": "LibriSpeech train-clean-5",
        "dev-clean-2": "LibriSpeech dev-clean-2",
        "test-clean": "LibriSpeech test-clean",
    },
    {
        "train-clean-5": "LibriSpeech train-clean-5 as Ogg Vorbis",
        "dev": "four speakers of LibriSpeech train-clean-100 as Ogg Vorbis",
        "test-clean-12": "12 of 40 speakers of LibriSpeech test-clean as Ogg Vorbis",
    },
)
AUDIO_SUFFIXES = (".flac", ".ogg", ".wav")
#: Archives and their content.
DOWNLOAD_GB = 2 * (0.33 + 0.13 + 0.35)


def make(sets: StagedSets, options: CorpusOptions) -> None:
    """Make train_clean_5, dev and test.

    Raises:
        SourceMissing: If the corpus is not there and cannot be fetched.
        ValueError: If too much of it is broken.
    """
    root = find_root(options.downloads)
    parts = next(parts for parts in CHOICES if not absent(root, list(parts)))
    for name, (part, content) in zip(SET_NAMES, parts.items()):
        write_part(sets, name, root / part, content)


def is_corpus(path: Path) -> bool:
    """Whether a path holds all parts of one of the choices."""
    return any(not absent(corpus_root(path), list(parts)) for parts in CHOICES)


def find_root(downloads: Path) -> Path:
    """The folder that holds the parts; missing ones are fetched into ``downloads``.

    Raises:
        SourceMissing: If the user's folder is another one, or fetching fails.
        OSError: If the disk cannot hold what has to be fetched.
    """
    given = find_given("MINI_LIBRISPEECH", "librispeech", downloads, is_corpus)
    parts = list(CHOICES[0])
    if given is None:
        root = downloads / FOLDER
        missing = [
            part
            for part in parts
            if not was_unpacked(root / part, downloads / f"{part}.tar.gz")
        ]
        if missing:
            require_disk(downloads, DOWNLOAD_GB, "mini LibriSpeech")
            lhotse_recipes.download(
                "librispeech", target_dir=downloads, dataset_parts=missing
            )
        return root
    if not is_corpus(given):
        raise SourceMissing(
            f"MINI_LIBRISPEECH: {given} has no {', '.join(parts)}; it should be the"
            f" folder {FOLDER} or the one that holds it"
        )
    return corpus_root(given)


def write_part(sets: StagedSets, name: str, part: Path, content: str) -> None:
    """Make one data folder, which points at the corpus's own files."""
    folder = sets.open(name)
    folder.content = content
    texts: Dict[str, str] = {}
    for transcripts in sorted(part.rglob("*.trans.txt")):
        texts.update(read_table(transcripts))
    files = {p.stem: p for p in part.rglob("*") if p.suffix in AUDIO_SUFFIXES}
    folder.dropped.update(unpaired(part, set(texts), set(files)))
    for utt_id in tqdm(sorted(texts.keys() & files.keys()), desc=f"reading {name}"):
        try:
            with open_sound(files[utt_id], utt_id) as sound:
                if sound.announced is None or sound.rate != sets.sampling_rate:
                    raise BadAudio(utt_id, f"has {sound.rate} Hz or no length")
                samples = sound.announced
        except BadAudio as problem:
            folder.dropped[utt_id] = problem.reason
            continue
        speaker, path = utt_id.split("-")[0], files[utt_id].absolute()
        row = Row(speaker, texts[utt_id], path, samples)
        folder.refer(utt_id, row, samples / sets.sampling_rate)
    report_dropped(folder)
