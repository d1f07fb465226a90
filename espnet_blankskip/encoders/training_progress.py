"""How far an encoder's training has come, and whether the batch at hand skips."""

import contextlib
import logging
import random
from contextvars import ContextVar

import torch

logger = logging.getLogger(__name__)

_KEY = "training_steps"
_COMPUTES_LOSS = ContextVar("computes_loss", default=False)


@contextlib.contextmanager
def computing_loss():
    """Within it, an encoder in evaluation mode skips only where its training would.

    For validation: until skipping has begun, its loss is that of the dense encoder.
    """
    before = _COMPUTES_LOSS.set(True)
    try:
        yield
    finally:
        _COMPUTES_LOSS.reset(before)


class TrainingProgress:
    """Counts the batches that an encoder is trained on, for its warm-ups.

    A batch counts when it passes through in training mode with gradients recorded, so
    accumulated batches count one by one, and validation never. Every process of a
    distributed training counts its own, and they agree.

    The count is saved with the weights, beside the version numbers that torch keeps
    in a ``state_dict`` for each module, and not among its keys: those stay ESPnet's.
    ``load_state_dict`` of a whole ``state_dict``, as trainers resume, brings it
    back. Weights copied into a model's own ``state_dict``, as ESPnet's
    ``--init_param`` does it, or saved by another encoder come without a count.

    The class that mixes this in has ``gate_layers``, ``train_skip`` and
    ``skip_warmup_steps``.
    """

    def _begin_to_count(self) -> None:
        """Set the count to zero, in the constructor."""
        # a buffer, which DataParallel's copies of a module share with it
        steps = torch.zeros((), dtype=torch.long)
        self.register_buffer("_training_steps", steps, persistent=False)

    @property
    def training_steps(self) -> int:
        """Batches that this encoder was trained on."""
        return int(self._training_steps)

    def _count_batch(self) -> None:
        """Count a batch that has passed through in training."""
        if not (self.training and torch.is_grad_enabled() and self.gate_layers):
            return
        self._training_steps.add_(1)
        warms_up = self.train_skip > 0 and self.skip_warmup_steps > 0
        if warms_up and self.training_steps == self.skip_warmup_steps:
            logger.info(
                "skip_warmup_steps=%d batches are over: training skips layers now",
                self.skip_warmup_steps,
            )

    @property
    def _is_in_training(self) -> bool:
        """Whether this batch is for a training or validation loss."""
        return self.training or _COMPUTES_LOSS.get()

    def _skips_this_batch(self) -> bool:
        """Whether a batch for a loss skips.

        The draw of a probability depends on the count alone, so that all processes
        of a distributed training skip together.
        """
        if self.train_skip == 0.0:
            return False
        if 0 < self.skip_warmup_steps and self.training_steps < self.skip_warmup_steps:
            return False
        if self.train_skip == 1.0 or not self.training:
            return True
        return random.Random(self.training_steps).random() < self.train_skip

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        metadata = getattr(destination, "_metadata", {}).get(prefix[:-1])
        if metadata is not None and self.gate_layers:
            metadata[_KEY] = self.training_steps

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        # an average of the same training may be swapped in and out: no way back
        self._training_steps.clamp_(min=int(local_metadata.get(_KEY, 0)))
