"""How far a training is, read from ESPnet's log."""

import re
from pathlib import Path
from typing import Callable, Dict, Optional

from espnet_blankskip.recipe.jobs import Followed
from espnet_blankskip.terminal import ProgressBar

BATCHES = re.compile(r"\[train\] mini-batch sizes summary: N-batch=(\d+)")
EPOCH_BEGINS = re.compile(r"(\d+)/(\d+)epoch started")
BATCH = re.compile(r"(\d+)epoch:train:\d+-(\d+)batch: ")
EPOCH_RESULT = re.compile(r"(\d+)epoch results: .*\[valid\] (.*)")
VALUE = re.compile(r"(\w+)=([-+.\de]+|nan|inf)(?:,|\s|$)")
#: Shown beside the bar where the log has them; the rest is in train.log.
SHOWN = {"loss": "valid loss", "cer_ctc": "valid cer", "kept": "kept"}


BEFORE_EPOCHS = "{desc} starts [{elapsed}]"
EPOCHS = (
    "{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} epochs "
    "[{elapsed}<{remaining}{postfix}]"
)


class TrainingProgress:
    """A bar of epochs that follows train.log.

    Args:
        path: The log.
        at_epoch: Called when an epoch begins, that is, when the checkpoint of the one
            before has been written.
    """

    def __init__(self, path: Path, at_epoch: Callable[[], None]):
        self._log = Followed(path)
        self._at_epoch = at_epoch
        self._batches: Optional[int] = None
        self.bar = ProgressBar("stage 11: training", None, bar_format=BEFORE_EPOCHS)

    def __enter__(self) -> "TrainingProgress":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.update()
        self.bar.close()

    def update(self) -> None:
        """Read what is new in the log."""
        for line in self._log.new_lines():
            self._read(line)
        self.bar.tick()

    def _read(self, line: str) -> None:
        bar = self.bar
        match = BATCHES.search(line)
        if match:
            self._batches = int(match[1])
        match = EPOCH_BEGINS.search(line)
        if match:
            if bar.total is None:
                # A resumed training begins in the middle; the time left is
                # reckoned from what this call does.
                bar.initial = int(match[1]) - 1
                bar.total = int(match[2])
                bar.bar_format = EPOCHS
            bar.n = int(match[1]) - 1
            self._at_epoch()
        match = BATCH.search(line)
        if match and self._batches:
            done = min(int(match[2]) / self._batches, 1.0)
            bar.n = int(match[1]) - 1 + done
        match = EPOCH_RESULT.search(line)
        if match:
            bar.n = int(match[1])
            bar.set_postfix(latest_values(match[2]), refresh=False)


def latest_values(message: str) -> Dict[str, str]:
    """The few values of an epoch's result that fit beside a bar."""
    values = {name: value for name, value in VALUE.findall(message)}
    shown = {}
    for key, label in SHOWN.items():
        names = [name for name in values if name == key]
        if key == "kept":
            names = [name for name in values if name.startswith("kept")][:1]
        for name in names:
            shown[label] = values[name]
    return shown
