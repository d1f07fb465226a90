"""From several channels of any type to one, and what looks wrong on the way."""

from typing import List, Optional

import numpy as np

FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}

TOO_LOUD = (
    "samples reach far beyond [-1, 1], as 16-bit values do that were made "
    "floating-point: divide them by 32768"
)
ANTIPHASE = (
    "averaging the channels all but cancels them, as their phases are opposite: hear "
    "one of them (channel=0, --channel 0)"
)
# no recording that was only mastered too loud reaches this
_LOUDEST = 16.0
# the average of C independent channels keeps a share of 1/C of their power
_KEPT_POWER = 0.1


class Mixer:
    """Takes blocks of one recording.

    Args:
        channel: Channel to take, counted from 0; None averages all of them.
    """

    def __init__(self, channel: Optional[int] = None):
        self.channel = channel
        self._peak = self._power = self._mixed_power = 0.0
        self._channels = 1

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Mix a block.

        Args:
            block: Samples (S, C), floating-point or of a type in `FULL_SCALE`.

        Returns:
            Samples (S,) float32; PCM lands in [-1, 1], as soundfile reads it.
        """
        if self.channel is not None:
            block = block[:, self.channel : self.channel + 1]
        full_scale = FULL_SCALE.get(block.dtype.newbyteorder("="))
        block = block.astype(np.float32, copy=False)
        if full_scale is not None:
            block = block / np.float32(full_scale)
        if block.size:
            self._peak = max(self._peak, -float(block.min()), float(block.max()))
        if block.shape[1] == 1:
            return block[:, 0]
        mixed = block.mean(axis=1)
        self._channels = block.shape[1]
        self._power += float(np.vdot(block, block)) / self._channels
        self._mixed_power += float(np.vdot(mixed, mixed))
        return mixed

    def remarks(self) -> List[str]:
        """Return what is to be said about the blocks so far."""
        found = []
        if self._peak > _LOUDEST:
            found.append(TOO_LOUD)
        if self._mixed_power * self._channels < _KEPT_POWER * self._power:
            found.append(ANTIPHASE)
        return found
