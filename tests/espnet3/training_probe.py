"""A Lightning callback that writes down what a training did, one file per process."""

import json
from pathlib import Path

from lightning.pytorch.callbacks import Callback


class Probe(Callback):
    """Writes ``probe.RANK.jsonl``: a line per training batch and per validation.

    Args:
        folder: Where.
    """

    def __init__(self, folder: str):
        self.folder = Path(folder)

    def _write(self, trainer, module, what: str, **more) -> None:
        prefix = "train/" if what == "train" else "valid/"
        stats = {
            name[len(prefix) :]: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(prefix)
        }
        row = dict(
            what=what,
            batches=int(module.model.encoder.training_steps),
            updates=trainer.global_step,
            stats=stats,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f"probe.{trainer.global_rank}.jsonl", "a") as lines:
            lines.write(json.dumps(row) + "\n")

    def on_train_batch_end(self, trainer, module, *_):
        self._write(trainer, module, "train")

    def on_validation_end(self, trainer, module):
        self._write(trainer, module, "sanity" if trainer.sanity_checking else "valid")
