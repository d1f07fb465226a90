"""ESPnet's default front-end, a log-mel filter bank, in numpy.

For places without torch; the arithmetic is that of ``DefaultFrontend``.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from espnet_blankskip.audio.mel_filters import mel_filters

FLOOR = 1e-10  # of the filters' outputs, before the logarithm
WINDOWS = ("hann", "hamming")


@dataclass(frozen=True)
class LogMel:
    """Log-mel features of a waveform.

    Args:
        sample_rate: Samples per second.
        n_fft: Size of the Fourier transform, in samples.
        hop_length: Samples from one frame to the next.
        win_length: Samples of the window, in the middle of ``n_fft``.
        window: "hann", "hamming", or None for none.
        center: Frames are centred at multiples of the hop, and the waveform is
            reflected at both ends; else the first frame begins with the waveform.
        n_mels: Number of filters M.
        fmin, fmax: Their range in Hz.
        htk: HTK's mel scale instead of Slaney's.
        log_base: Base of the logarithm; None: e.
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    win_length: int
    window: Optional[str]
    center: bool
    n_mels: int
    fmin: float
    fmax: float
    htk: bool
    log_base: Optional[float] = None

    def window_function(self) -> np.ndarray:
        """The window with zeros on both sides: (n_fft,) float64."""
        turns = np.arange(self.win_length) / self.win_length
        if self.window is None:
            shape = np.ones(self.win_length)
        elif self.window == "hann":
            shape = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
        else:
            shape = 0.54 - 0.46 * np.cos(2 * np.pi * turns)
        before = (self.n_fft - self.win_length) // 2
        return np.pad(shape, (before, self.n_fft - self.win_length - before))

    def filters(self) -> np.ndarray:
        """The mel filters (M, n_fft // 2 + 1) float32."""
        return mel_filters(
            self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.fmax, self.htk
        )

    def log_scale(self) -> float:
        """What natural logarithms are multiplied with."""
        return 1.0 if self.log_base is None else 1.0 / np.log(self.log_base)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Features of one waveform.

        Args:
            samples: (S,) float32, more than half of ``n_fft``.

        Returns:
            (S // hop_length + 1, M) float32; fewer where frames are not centred.
        """
        if self.center:
            samples = np.pad(samples, self.n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.n_fft)
        frames = frames[:: self.hop_length] * self.window_function().astype(np.float32)
        spectrum = np.fft.rfft(frames)
        power = spectrum.real**2 + spectrum.imag**2
        mel = power.astype(np.float32) @ self.filters().T
        log_mel = np.log(np.maximum(mel, FLOOR)) * self.log_scale()
        return log_mel.astype(np.float32)
