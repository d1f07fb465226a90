"""Any corpus that lhotse can prepare: ``--corpus lhotse:NAME``.

The sets are ``train``, ``dev`` and ``test``. Transcripts stay as lhotse gives them, but
for white space, of which one space stays between words.
"""

import shutil
from pathlib import Path

from espnet_blankskip.corpora import lhotse_recipes
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.finding import SourceMissing, find_given
from espnet_blankskip.corpora.manifests import Split, write_set
from espnet_blankskip.corpora.splits import assign, hold_out, read_splits
from espnet_blankskip.corpora.staging import StagedSets

SET_NAMES = {"train": "train", "valid": "dev", "test": "test"}


def make(sets: StagedSets, options: CorpusOptions, corpus: str) -> None:
    """Make train, dev and test.

    Raises:
        SourceMissing: If the corpus is not there and cannot be fetched.
        ValueError: If lhotse cannot prepare it, or its splits make no training set.
    """
    arguments = lhotse_recipes.parse_options(options.lhotse_options)
    place = arguments.get(lhotse_recipes.check_options(corpus, arguments))
    root = Path(place) if place else find_root(corpus, options.downloads)
    # Made anew each time: lhotse takes the manifests of an earlier run as they are,
    # even where that run was cut short or the corpus has changed since.
    manifests = options.downloads / f"{corpus}.manifests"
    shutil.rmtree(manifests, ignore_errors=True)
    result = lhotse_recipes.prepare(corpus, root, arguments, manifests)
    splits = read_splits(result)
    if not splits:
        raise ValueError(
            f"lhotse found no transcribed speech of {corpus} in {root}; is it the right"
            " folder?"
        )
    chosen = {role: getattr(options, f"{role}_splits") for role in SET_NAMES}
    roles = assign(list(splits), chosen)
    if not roles["train"]:
        raise ValueError(
            f"{corpus} has no training split among {', '.join(splits)}; choose with"
            " --train_splits"
        )
    unused = set(splits).difference(*roles.values())
    if unused:
        print(f"in no set: {', '.join(sorted(unused))}", flush=True)
    content = {role: Split.joined(map(splits.get, own)) for role, own in roles.items()}
    for role in ("test", "valid"):
        if not roles[role]:
            stays, content[role] = hold_out(content["train"], options.seed, role)
            content["train"] = stays
            roles[role] = ["a share of the training splits"]
    for role, name in SET_NAMES.items():
        print(f"{name}: made of {', '.join(roles[role])}", flush=True)
        write_set(sets, name, content[role])


def find_root(corpus: str, downloads: Path) -> Path:
    """The folder of a corpus; fetched by lhotse if there is none and it knows how.

    Raises:
        SourceMissing: If there is none, or fetching fails.
    """
    given = find_given(corpus.upper(), corpus, downloads)
    if given is not None:
        return given
    folder = downloads / corpus
    # Empty while lhotse is downloading, then the folder of the corpus in it.
    note = downloads / f".{corpus}.download"
    if note.is_file():
        root = note.read_text(encoding="utf-8").strip()
        if root and Path(root).is_dir():
            return Path(root)
    elif folder.is_dir():
        return folder
    if lhotse_recipes.recipe("download", corpus) is None:
        raise SourceMissing(
            f"set {corpus.upper()} to the folder of the corpus {corpus}, or link it to"
            f" {folder}: lhotse cannot download it"
        )
    downloads.mkdir(parents=True, exist_ok=True)
    note.write_text("", encoding="utf-8")
    root = lhotse_recipes.download(corpus, target_dir=folder)
    note.write_text(f"{Path(root or folder).absolute()}\n", encoding="utf-8")
    return Path(root or folder)
