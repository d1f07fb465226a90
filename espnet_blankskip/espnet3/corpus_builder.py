"""ESPnet3's stage ``create_dataset``: a known corpus, or data folders of one's own."""

import logging
from pathlib import Path
from typing import Optional, Sequence

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.corpora import CorpusOptions, prepare_corpus
from espnet_blankskip.espnet3.kaldi_dataset import named, read_folder
from espnet_blankskip.upstream import espnet3_module

logger = logging.getLogger(__name__)


class CorpusBuilder(espnet3_module("components.data.dataset_builder").DatasetBuilder):
    """Makes the data folders of a corpus below ``dataset_dir``, or checks given ones.

    Its arguments are the entries of ``create_dataset:`` in training.yaml. The
    preparation finds out itself what is there already, so both checks below leave it
    to `build`.
    """

    def is_source_prepared(self, **_) -> bool:
        """Return True: the preparation of a corpus looks for its source."""
        return True

    def prepare_source(self, **_) -> None:
        """Do nothing; see `is_source_prepared`."""

    def is_built(self, **_) -> bool:
        """Return False: `build` leaves finished folders as they are."""
        return False

    def build(
        self,
        dataset_dir: str,
        corpus: Optional[str] = None,
        downloads: str = "downloads",
        sets: Sequence[str] = (),
        train_hours: Optional[float] = None,
        seed: int = 0,
        **_,
    ) -> None:
        """Make the data folders.

        Args:
            dataset_dir: Folder of the sets.
            corpus: Name of a corpus that the package can prepare (mini_an4, fsdd,
                an4, librispeech_100, ...); None: the folders are there.
            downloads: Folder for what is fetched or unpacked.
            sets: Folders below ``dataset_dir`` to be checked, without a ``corpus``.
            train_hours: Length of the training set in hours, where it can be chosen.
            seed: Same seed, same data.

        Raises:
            ValueError: The corpus is unknown or its source is missing; or an
                utterance of a given folder cannot be used: the message names it.
            FileNotFoundError: A given folder lacks a list.
        """
        if corpus:
            options = CorpusOptions(
                seed=seed, train_hours=train_hours, downloads=Path(downloads)
            )
            for line in prepare_corpus(corpus, Path(dataset_dir), options):
                logger.info(line)
            return
        if not sets:
            raise ValueError(
                "create_dataset: name a corpus, or the sets of your own: "
                "sets: [train, dev, test]"
            )
        for name in sets:
            self._check(Path(dataset_dir) / name)

    def _check(self, folder: Path) -> None:
        utterances, _ = read_folder(folder)
        problems = []
        for utterance in utterances:
            try:
                utterance.read_checked()
            except BadAudio as problem:
                problems.append((utterance.utt_id, problem.reason))
        if problems:
            raise ValueError(
                f"data folder {folder}: {len(problems)} of {len(utterances)} "
                f"utterances cannot be used: {named(problems)}"
            )
        logger.info("%s: %d utterances", folder, len(utterances))
