"""Training in bfloat16 on processors that have it: ``use_amp`` is for GPUs alone."""

import contextlib
import logging
from typing import Optional

import torch
from torch import Tensor

from espnet_blankskip.acceleration import has_bfloat16

logger = logging.getLogger(__name__)


class CpuAutocast:
    """Mix-in of ESPnet's ASR model: its encoder trains in mixed precision on a CPU.

    Weights, front-end, normalization and losses stay in float32, and so does all of
    validation and decoding. `cpu_autocast` is "bfloat16" or None.
    """

    cpu_autocast: Optional[str] = None

    def set_cpu_autocast(self, dtype: Optional[str]) -> None:
        """Choose it; said and left out on a processor without such arithmetic.

        Raises:
            ValueError: It is another type.
        """
        if dtype not in (None, "bfloat16"):
            raise ValueError(f"cpu_autocast={dtype} must be bfloat16 or null")
        if dtype and not has_bfloat16(torch.device("cpu")):
            logger.warning(
                "cpu_autocast=%s has no effect: the processor has no arithmetic for it "
                "(avx512_bf16 or amx_bf16)",
                dtype,
            )
            dtype = None
        self.cpu_autocast = dtype

    def encode(self, speech: Tensor, speech_lengths: Tensor):
        """As ESPnet's; see ``ESPnetASRModel.encode``."""
        on_cpu = self.training and speech.device.type == "cpu"
        if not (self.cpu_autocast and on_cpu):
            return super().encode(speech, speech_lengths)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states, lens = super().encode(speech, speech_lengths)
        if isinstance(states, tuple):
            final, inner = states
            return (final.float(), [(layer, h.float()) for layer, h in inner]), lens
        return states.float(), lens

    def _extract_feats(self, speech: Tensor, speech_lengths: Tensor):
        whole = contextlib.nullcontext()
        if self.cpu_autocast:
            whole = torch.autocast("cpu", enabled=False)
        with whole:
            return super()._extract_feats(speech, speech_lengths)
