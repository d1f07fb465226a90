"""All sets of a corpus at once: made beside the final folders, then moved in place."""

from pathlib import Path
from typing import Dict, List, Sequence

from espnet_blankskip.corpora.data_folder import (
    DataFolderWriter,
    read_record,
    remove_data_folder,
)


class StagedSets:
    """The data sets of one corpus while they are being made.

    Use it as a context manager: leaving it normally moves every set to its place and
    removes sets that an earlier run with other options had left; leaving it by an
    exception removes what was written and touches nothing that was there before.

    Args:
        output: Folder of the sets, usually ``data``.
        sampling_rate: Sampling rate of the corpus in Hz.
        record: What to write down about the corpus in each set.
    """

    def __init__(self, output: Path, sampling_rate: int, record: Dict[str, object]):
        self.output = Path(output)
        self.sampling_rate = sampling_rate
        self.speech_kind = "human"
        self._record = record
        self._writers: Dict[str, DataFolderWriter] = {}

    def open(self, name: str) -> DataFolderWriter:
        """Begin the set of that name."""
        writer = DataFolderWriter(
            self.output / name, self.sampling_rate, self.speech_kind
        )
        self._writers[name] = writer
        return writer

    def __enter__(self) -> "StagedSets":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            for writer in self._writers.values():
                writer.discard()
            return
        for path in made_sets(self.output):
            remove_data_folder(path)
        record = {**self._record, "sets": sorted(self._writers)}
        for writer in self._writers.values():
            writer.commit(record)

    def summary(self) -> List[str]:
        """One line for each set."""
        return [
            f"{writer.path.name}: {writer.utterances} utterances,"
            f" {writer.seconds / 3600:.2f} h, {writer.speech_kind} speech"
            for writer in self._writers.values()
        ]


def made_sets(output: Path) -> Sequence[Path]:
    """Data folders in ``output`` that this package made."""
    if not Path(output).is_dir():
        return []
    folders = (path for path in sorted(Path(output).iterdir()) if path.is_dir())
    return [path for path in folders if read_record(path) is not None]
