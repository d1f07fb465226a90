"""The recipe's corpora: from raw recordings to Kaldi-style data folders.

``python -m espnet_blankskip.recipe.corpora CORPUS --output data`` makes the sets
``train_nodev``, ``train_dev`` and ``test`` (ESPnet's names) of a corpus.
"""

import os
import shutil
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from espnet_blankskip.recipe.corpora.data_folder import check_data_folder, read_record
from espnet_blankskip.recipe.corpora.options import CorpusOptions
from espnet_blankskip.recipe.corpora.staging import StagedSets, made_sets

__all__ = ["CORPORA", "Corpus", "CorpusOptions", "check_data_folder", "prepare_corpus"]


@dataclass(frozen=True)
class Corpus:
    """A corpus the recipe can prepare.

    Args:
        name: Its name on the command line.
        module: Module of this package with ``make(sets, options)``.
        sampling_rate: Sampling rate of the data folders in Hz.
        speech_kind: ``human`` or ``synthetic``; what ``make`` may still change.
        summary: One line for ``--help``.
        variable: Environment variable that names its source, if it needs one.
        takes: Options of :class:`CorpusOptions` that mean something here.
        default_hours: Length of its training set where the user gives none; None if
            it cannot be chosen.
    """

    name: str
    module: str
    sampling_rate: int
    speech_kind: str
    summary: str
    variable: Optional[str] = None
    takes: Tuple[str, ...] = ()
    default_hours: Optional[float] = None

    def make(self, sets: StagedSets, options: CorpusOptions) -> None:
        """Fill the sets."""
        import_module(f"{__name__}.{self.module}").make(sets, options)


CORPORA: Dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="fsdd",
            module="fsdd",
            sampling_rate=8000,
            speech_kind="human",
            summary="connected digits from human recordings, 8 kHz",
            variable="FSDD",
            takes=("train_hours", "exclude_speaker"),
            default_hours=1.2,
        ),
        Corpus(
            name="mini_an4",
            module="mini_an4",
            sampling_rate=16000,
            speech_kind="human",
            summary="ESPnet's eight test utterances of CMU AN4, 16 kHz",
            variable="MINI_AN4",
        ),
        Corpus(
            name="synthetic",
            module="synthetic",
            sampling_rate=16000,
            speech_kind="synthetic",
            summary="sentences of numbers, names and dates by espeak-ng, 16 kHz",
            takes=("train_hours",),
            default_hours=5.0,
        ),
    )
}

#: Left free on the disk, so that a full disk does not cut later stages short.
MIN_FREE_GB = 1.0
#: Dev and test sets come on top of the training hours.
HELD_OUT_HOURS = 1.0
BYTES_PER_SAMPLE = 2


def prepare_corpus(
    name: str, output: Path, options: CorpusOptions, overwrite: bool = False
) -> List[str]:
    """Make the data folders of a corpus, or find them made already.

    Args:
        name: A key of :data:`CORPORA`.
        output: Folder of the sets, usually ``data``.
        options: What to make.
        overwrite: Make them again even if they are there.

    Returns:
        Lines that say what is there now.

    Raises:
        ValueError: For an unknown corpus, an option it does not take, or a missing
            source; the message is for the user.
        OSError: If the disk is too full, or foreign data is in the way.
    """
    if name not in CORPORA:
        raise ValueError(f"--corpus {name} must be one of {', '.join(CORPORA)}")
    corpus = CORPORA[name]
    for option in ("train_hours", "exclude_speaker"):
        if getattr(options, option) is not None and option not in corpus.takes:
            dashed = "--" + option.replace("_", "-")
            raise ValueError(f"{dashed} does not apply to the corpus {name}")
    if options.train_hours is None:
        options = replace(options, train_hours=corpus.default_hours)
    output = Path(output)
    # Another source makes other data; where it was found on its own, it stays.
    source = os.environ.get(corpus.variable, "") if corpus.variable else ""
    record = {"corpus": name, "source": source, **options.record()}
    if not overwrite and (lines := finished_sets(output, record)):
        return lines
    check_disk(output, corpus, options)
    output.mkdir(parents=True, exist_ok=True)
    with StagedSets(output, corpus.sampling_rate, record) as sets:
        sets.speech_kind = corpus.speech_kind
        corpus.make(sets, options)
    return sets.summary()


def finished_sets(output: Path, record: Dict[str, object]) -> List[str]:
    """Lines about the sets an earlier run made with the same options; empty if not.

    All sets of that run must still be there, and of one kind of speech.
    """
    records = {path.name: read_record(path) for path in made_sets(output)}
    if not records:
        return []
    for found in records.values():
        same = all(found.get(key) == value for key, value in record.items())
        if not same or found.get("sets") != sorted(records):
            return []
    if len({found["speech_kind"] for found in records.values()}) > 1:
        return []
    return [
        f"{name}: {found['utterances']} utterances, {found['hours']:.2f} h,"
        f" {found['speech_kind']} speech, made earlier (--overwrite makes it anew)"
        for name, found in records.items()
    ]


def check_disk(output: Path, corpus: Corpus, options: CorpusOptions) -> None:
    """Refuse to start what the disk cannot hold.

    Raises:
        OSError: If there is too little space.
    """
    folder = Path(output).absolute()
    while not folder.is_dir():
        folder = folder.parent
    hours = (options.train_hours or 0.0) + HELD_OUT_HOURS
    data_gb = hours * 3600 * corpus.sampling_rate * BYTES_PER_SAMPLE / 1e9
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < data_gb + MIN_FREE_GB:
        raise OSError(
            f"--output {output}: too little disk space, {free_gb:.1f} GB free and"
            f" {data_gb + MIN_FREE_GB:.1f} GB needed"
        )
