"""Triangular mel filters, as ESPnet's default front-end takes them from librosa."""

import numpy as np

# Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1 kHz, then 27 steps for
# every factor of 6.4.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def mel_filters(
    sr: float,
    n_fft: int,
    n_mels: int,
    fmin: float = 0.0,
    fmax: float = None,
    htk: bool = False,
) -> np.ndarray:
    """Return the filters of ``librosa.filters.mel`` without its imports.

    Args:
        sr: Sampling rate in Hz.
        n_fft: Size of the Fourier transform, in samples.
        n_mels: Number of filters M.
        fmin: Lowest frequency in Hz.
        fmax: Highest frequency in Hz; None is half the sampling rate.
        htk: HTK's mel scale, 2595 log10(1 + f / 700), instead of Slaney's.

    Returns:
        Filters (M, n_fft // 2 + 1) float32, each of unit area over Hz.
    """
    to_mel, to_hz = (_htk_mel, _htk_hz) if htk else (_slaney_mel, _slaney_hz)
    top = sr / 2 if fmax is None else fmax
    corners = to_hz(np.linspace(to_mel(fmin), to_mel(top), n_mels + 2))
    left, centre, right = (corners[i : i + n_mels, None] for i in range(3))
    bins = np.fft.rfftfreq(n_fft, 1.0 / sr)[None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return (filters * (2.0 / (right - left))).astype(np.float32)


def _slaney_mel(hz):
    hz = np.asarray(hz, dtype=float)
    above = np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.minimum(hz, _BREAK_HZ) / _HZ_PER_MEL + above


def _slaney_hz(mel):
    knee = _BREAK_HZ / _HZ_PER_MEL
    above = np.exp(_LOG_STEP * np.maximum(mel - knee, 0.0))
    return np.where(mel < knee, _HZ_PER_MEL * mel, _BREAK_HZ * above)


def _htk_mel(hz):
    return 2595.0 * np.log10(1.0 + np.asarray(hz, dtype=float) / 700.0)


def _htk_hz(mel):
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
