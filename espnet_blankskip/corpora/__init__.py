"""Public corpora: from raw recordings to Kaldi-style data folders.

``python -m espnet_blankskip.corpora CORPUS --output data`` makes the sets of a
corpus under ESPnet's names, for example ``train_nodev``, ``train_dev`` and ``test``.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

from espnet_blankskip.corpora.catalogue import CORPORA, Corpus, find_corpus
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.data_folder import read_record
from espnet_blankskip.corpora.finding import require_disk
from espnet_blankskip.corpora.staging import StagedSets, made_sets
from espnet_blankskip.locks import locked

__all__ = ["CORPORA", "Corpus", "CorpusOptions", "prepare_corpus"]

#: Dev and test sets come on top of the training hours.
HELD_OUT_HOURS = 1.0
BYTES_PER_SAMPLE = 2


def prepare_corpus(
    name: str, output: Path, options: CorpusOptions, overwrite: bool = False
) -> List[str]:
    """Make the data folders of a corpus, or find them made already; one at a time.

    Args:
        name: A key of :data:`CORPORA`, or ``lhotse:`` and lhotse's name of a corpus.
        output: Folder of the sets, usually ``data``.
        options: What to make.
        overwrite: Make them again even if they are there.

    Returns:
        Lines that say what is there now.

    Raises:
        ValueError: For an unknown corpus, an option it does not take, or a missing
            source; the message is for the user.
        OSError: If the disk is too full, foreign data is in the way, or somebody else
            prepares a corpus there.
    """
    corpus = find_corpus(name)
    corpus.check(options)
    if options.train_hours is None:
        options = replace(options, train_hours=corpus.default_hours)
    output = Path(output)
    # Another source makes other data; where it was found on its own, it stays.
    source = os.environ.get(corpus.variable, "") if corpus.variable else ""
    record = {"corpus": name, "source": source, **options.record()}
    if corpus.version > 1:  # before, there were no versions
        record["version"] = corpus.version
    with locked(output, "the preparation of a corpus", "corpus"):
        if not overwrite and (lines := finished_sets(output, record)):
            return lines
        hours = (options.train_hours or 0.0) + HELD_OUT_HOURS
        gigabytes = hours * 3600 * corpus.sampling_rate * BYTES_PER_SAMPLE / 1e9
        require_disk(output, gigabytes, f"the data sets of {name}")
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
