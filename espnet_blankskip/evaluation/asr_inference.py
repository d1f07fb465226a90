"""ESPnet's own decoding of the same checkpoint, as a recognizer of the report."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Iterator, Optional

import numpy as np
import torch

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.upstream import speech2text_class

BEAM_SIZE = 1  # the fastest that it can do
NOTHING_SKIPPED = 1.01  # a blank threshold above 1


class AsrInference:
    """What ``asr_inference`` does with CTC alone: prefix search over all frames.

    Args:
        config, model_file: Of the experiment.
        sample_rate: Of its audio in Hz.
        stock_encoder: ESPnet's own with the checkpoint's weights; None takes the
            checkpoint's, all of whose frames then run through all layers.

    Raises:
        Exception: ESPnet's, of any type, where it cannot decode with the checkpoint.
    """

    def __init__(
        self,
        config: Path,
        model_file: Path,
        sample_rate: int,
        stock_encoder: Optional[torch.nn.Module] = None,
    ):
        with _without_remarks():
            self._speech2text = speech2text_class()(
                str(config),
                str(model_file),
                ctc_weight=1.0,
                lm_weight=0.0,
                beam_size=BEAM_SIZE,
            )
        model = self._speech2text.asr_model
        if stock_encoder is not None:
            model.encoder = stock_encoder
        elif hasattr(model.encoder, "set_gate"):
            model.encoder.set_gate(blank_threshold=NOTHING_SKIPPED)
        self._layers, self._sample_rate = len(model.encoder.encoders), sample_rate
        self._encode, model.encode = model.encode, self._timed_encode
        self._frames, self._encoder_seconds = 0, 0.0

    def _timed_encode(self, **batch):
        begun = time.perf_counter()
        states, lens = self._encode(**batch)
        self._encoder_seconds = time.perf_counter() - begun
        self._frames = int(lens[0])
        return states, lens

    def __call__(self, samples: np.ndarray) -> Recognition:
        """Recognize samples (S,); no times, no blank probabilities."""
        begun = time.perf_counter()
        found = self._speech2text(samples)
        total_seconds = time.perf_counter() - begun
        # with intermediate CTC, the n-best list comes in a pair
        nbest = found[0] if isinstance(found, tuple) else found
        text, token, token_int, hypothesis = nbest[0]
        return Recognition(
            text=text or "",
            token=token,
            token_int=token_int,
            score=float(hypothesis.score),
            times=(),
            depth=np.full(self._frames, self._layers),
            blank_prob=None,
            kept_frames=self._frames,
            layers_run=self._frames * self._layers,
            encoder_seconds=self._encoder_seconds,
            total_seconds=total_seconds,
            audio_seconds=len(samples) / self._sample_rate,
        )


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Leave out what ESPnet remarks on CTC alone, by the root logger."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    root = logging.getLogger()
    root.addFilter(is_error)
    try:
        yield
    finally:
        root.removeFilter(is_error)
