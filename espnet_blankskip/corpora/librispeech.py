"""LibriSpeech, through lhotse: read English, https://www.openslr.org/12.

The sets have the names of ESPnet's recipes: ``train_960`` or ``train_clean_100``,
``dev`` (both dev parts), and each dev and test part on its own.
"""

import shutil
from pathlib import Path
from typing import Dict, List, Sequence

from espnet_blankskip.corpora import lhotse_recipes
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.dropped import unpaired
from espnet_blankskip.corpora.fetching import has_checksum
from espnet_blankskip.corpora.finding import (
    SourceMissing,
    find_given,
    require_disk,
    was_unpacked,
)
from espnet_blankskip.corpora.manifests import Split, write_set
from espnet_blankskip.corpora.splits import read_splits
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.kaldi.lists import read_table

FOLDER = "LibriSpeech"
HELD_OUT = ("dev-clean", "dev-other", "test-clean", "test-other")
#: Archives in GB; unpacked they take about as much again.
ARCHIVE_GB = {
    "train-clean-5": 0.33,
    "dev-clean-2": 0.13,
    "train-clean-100": 6.4,
    "train-clean-360": 23.1,
    "train-other-500": 30.6,
}
HELD_OUT_GB = 0.35
#: Of the archives that a small machine downloads; OpenSLR's and torchaudio's lists.
CHECKSUMS = {
    "train-clean-5": "md5:5df7d4e78065366204ca6845bb08f490",
    "dev-clean-2": "md5:6d7ab67ac6a1d2c993d050e16d61080d",
    "test-clean": (
        "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"
    ),
}


def make(
    sets: StagedSets, options: CorpusOptions, train_set: str, *train_parts: str
) -> None:
    """Make the training set of the given parts, and all dev and test sets.

    Raises:
        SourceMissing: If parts are not there and cannot be fetched.
        ValueError: If the folder is not LibriSpeech's or too much of it is broken.
    """
    parts = (*train_parts, *HELD_OUT)
    root = find_root(parts, options.downloads)
    dropped = {part: compare(root / part) for part in parts}
    arguments = {"dataset_parts": parts, "num_jobs": options.nj}
    splits = read_splits(lhotse_recipes.prepare("librispeech", root, arguments))

    def write(name: str, content: Sequence[str]) -> None:
        faults = {u: why for part in content for u, why in dropped[part].items()}
        write_set(sets, name, Split.joined(splits[part] for part in content), faults)

    write(train_set, train_parts)
    write("dev", ("dev-clean", "dev-other"))
    for part in HELD_OUT:
        write(part.replace("-", "_"), (part,))


def find_root(parts: Sequence[str], downloads: Path) -> Path:
    """The folder that holds the parts; missing ones are fetched into ``downloads``.

    Raises:
        SourceMissing: If the user's folder lacks parts, or fetching fails.
        OSError: If the disk cannot hold what has to be fetched.
    """
    given = find_given(
        "LIBRISPEECH",
        "librispeech",
        downloads,
        lambda path: not absent(corpus_root(path), parts),
    )
    if given is None:
        return fetched(parts, downloads)
    root = corpus_root(given)
    if missing := absent(root, parts):
        raise SourceMissing(
            f"LIBRISPEECH: {root} has no {', '.join(missing)}; it should be the folder"
            f" {FOLDER} or the one that holds it"
        )
    return root


def fetched(parts: Sequence[str], downloads: Path) -> Path:
    """The folder of what was downloaded, with all parts; missing ones are fetched.

    Raises:
        SourceMissing: If fetching fails.
        OSError: If the disk cannot hold what has to be fetched.
    """
    root = downloads / FOLDER
    missing = [
        part
        for part in parts
        if not was_unpacked(root / part, downloads / f"{part}.tar.gz")
    ]
    if missing:
        gigabytes = 2 * sum(ARCHIVE_GB.get(part, HELD_OUT_GB) for part in missing)
        require_disk(downloads, gigabytes, f"LibriSpeech's {', '.join(missing)}")
        lhotse_recipes.download(
            "librispeech", target_dir=downloads, dataset_parts=missing
        )
        remove_foreign(missing, downloads)
    return root


def remove_foreign(parts: Sequence[str], downloads: Path) -> None:
    """Remove downloaded parts whose archives are not OpenSLR's.

    Raises:
        SourceMissing: If there are any.
    """
    archives = {part: downloads / f"{part}.tar.gz" for part in parts}
    foreign = [
        part
        for part, archive in archives.items()
        if part in CHECKSUMS
        and archive.is_file()
        and not has_checksum(archive, CHECKSUMS[part])
    ]
    for part in foreign:
        archives[part].unlink()
        shutil.rmtree(downloads / FOLDER / part)
    if foreign:
        sums = ", ".join(f"{archives[part].name} {CHECKSUMS[part]}" for part in foreign)
        raise SourceMissing(
            f"what was fetched is damaged and was removed: run it again ({sums})"
        )


def corpus_root(path: Path) -> Path:
    """The folder ``LibriSpeech`` in a path, or the path."""
    return path / FOLDER if (path / FOLDER).is_dir() else path


def absent(root: Path, parts: Sequence[str]) -> List[str]:
    """Parts that a folder does not have."""
    return [part for part in parts if not (root / part).is_dir()]


def compare(part: Path) -> Dict[str, str]:
    """Utterances that have audio or a transcript but not both, with the reason.

    Raises:
        ValueError: If a line of a transcript has no words, which lhotse cannot read,
            or no utterance has both.
    """
    listed = set()
    for transcripts in part.rglob("*.trans.txt"):
        for utt_id, words in read_table(transcripts).items():
            if not words:
                raise ValueError(f"{transcripts}: {utt_id} has no words")
            listed.add(utt_id)
    return unpaired(part, listed, {path.stem for path in part.rglob("*.flac")})
