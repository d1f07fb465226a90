"""AISHELL-1, through lhotse: read Mandarin, https://www.openslr.org/33.

Transcripts are characters without spaces, as in ESPnet's recipe.
"""

from pathlib import Path
from typing import Dict, Optional

from espnet_blankskip.corpora import lhotse_recipes
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.dropped import unpaired
from espnet_blankskip.corpora.manifests import write_set
from espnet_blankskip.corpora.sources import (
    SourceMissing,
    find_given,
    require_disk,
    was_unpacked,
)
from espnet_blankskip.corpora.splits import read_splits
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.kaldi.lists import read_rows

FOLDER = "data_aishell"
TRANSCRIPTS = Path(FOLDER) / "transcript" / "aishell_transcript_v0.8.txt"
SETS = ("train", "dev", "test")
#: The archive, its content (archives of every speaker), and theirs.
DOWNLOAD_GB = 46.0


def make(sets: StagedSets, options: CorpusOptions) -> None:
    """Make train, dev and test.

    Raises:
        SourceMissing: If the corpus is not there and cannot be fetched.
        ValueError: If the folder is not AISHELL's or too much of it is broken.
    """
    root = find_root(options.downloads)
    dropped = compare(root)
    splits = read_splits(lhotse_recipes.prepare("aishell", root))
    for name in SETS:
        write_set(sets, name, splits[name], dropped[name])


def find_root(downloads: Path) -> Path:
    """The folder that holds ``data_aishell``; fetched if there is none.

    Raises:
        SourceMissing: If the user's folder is another one, or fetching fails.
        OSError: If the disk cannot hold what has to be fetched.
    """
    given = find_given("AISHELL", "aishell", downloads, is_aishell)
    if given is None:
        # ESPnet unpacks into downloads, lhotse into downloads/aishell.
        for root in (downloads, downloads / "aishell"):
            if was_unpacked(root / FOLDER, downloads / f"{FOLDER}.tgz"):
                given = root
    if given is None:
        require_disk(downloads, DOWNLOAD_GB, "AISHELL")
        given = Path(lhotse_recipes.download("aishell", target_dir=downloads))
    if root := root_at(given):
        return root
    raise SourceMissing(
        f"AISHELL: {given} has no {TRANSCRIPTS} with {FOLDER}/wav/{{train,dev,test}};"
        f" it should be the folder that holds {FOLDER}, unpacked"
    )


def root_at(path: Path) -> Optional[Path]:
    """The folder that holds ``data_aishell`` whole: the path, below or above it."""
    for root in (path, path / "aishell", path.parent):
        folders = [root / FOLDER / "wav" / name for name in SETS]
        if (root / TRANSCRIPTS).is_file() and all(f.is_dir() for f in folders):
            return root
    return None


def is_aishell(path: Path) -> bool:
    """Whether a path is the corpus or just above or below it."""
    return root_at(path) is not None


def compare(root: Path) -> Dict[str, Dict[str, str]]:
    """Utterances of each set that have audio or a transcript but not both.

    The transcripts do not say which set they belong to: one without audio counts as
    one of the training set.

    Raises:
        ValueError: If no utterance of a set has both.
    """
    left = {utt_id for utt_id, _ in read_rows(root / TRANSCRIPTS)}
    dropped = {}
    for name in reversed(SETS):
        folder = root / FOLDER / "wav" / name
        recorded = {path.stem for path in folder.rglob("*.wav")}
        listed = left if name == "train" else left & recorded
        dropped[name] = unpaired(folder, listed, recorded)
        left = left - recorded
    return dropped
