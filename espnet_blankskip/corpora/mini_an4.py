"""ESPnet's own test data: eight utterances of CMU's AN4 corpus.

The archive ``downloads.tar.gz`` of ESPnet's ``egs2/mini_an4/asr1`` holds them. One of
the eight has no transcript; the seven others are split as ESPnet splits them.
"""

from espnet_blankskip.corpora.an4 import an4_root, write_sets
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.finding import SourceMissing, find_source
from espnet_blankskip.corpora.staging import StagedSets

ARCHIVE_NAME = "downloads.tar.gz"
DEV_UTTERANCES = 1


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
    with an4_root(source, ARCHIVE_NAME) as root:
        write_sets(sets, root, DEV_UTTERANCES)
