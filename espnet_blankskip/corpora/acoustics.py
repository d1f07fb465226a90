"""What a room and a microphone do to clean speech: pauses, noise and level."""

import numpy as np

#: Below this many decibels relative to full scale nobody hears anything; it is the
#: floor that keeps pauses from being exact zeros, which real recordings never have.
NOISE_FLOOR_DB = (-75.0, -60.0)

SNR_DB = (15.0, 40.0)
CLEAN_SHARE = 0.2
SPEECH_LEVEL_DB = (-34.0, -16.0)
PEAK_LIMIT = 0.98
EDGE_FADE_SECONDS = 0.004


def decibels_to_gain(decibels: float) -> float:
    """Amplitude ratio of a level difference in dB."""
    return 10.0 ** (decibels / 20.0)


def rms(audio: np.ndarray) -> float:
    """Root mean square of a signal of shape (samples,)."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def coloured_noise(samples: int, tilt: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of unit RMS whose power falls as ``1 / f ** tilt``.

    Args:
        samples: Length of the result, at least 2.
        tilt: 0 is white, 1 is pink; rooms and microphones lie between.
        rng: Source of randomness.

    Returns:
        Noise of shape (samples,), float64.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.arange(len(spectrum), dtype=np.float64)
    # The offset keeps the lowest bins from carrying all of the power.
    spectrum *= (frequency + 0.01 * len(spectrum)) ** (-tilt / 2.0)
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, n=samples)
    return noise / max(rms(noise), 1e-12)


def fade_edges(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Let a recording (samples,) begin and end at zero, so that joins do not click."""
    length = min(int(EDGE_FADE_SECONDS * sampling_rate), len(audio) // 2)
    if length == 0:
        return audio
    ramp = np.linspace(0.0, 1.0, length, endpoint=False)
    faded = audio.astype(np.float64, copy=True)
    faded[:length] *= ramp
    faded[-length:] *= ramp[::-1]
    return faded


def as_recorded(speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give an utterance a random level, a noise floor and, mostly, background noise.

    Args:
        speech: Clean utterance with its pauses, shape (samples,).
        rng: Source of randomness; the same state gives the same result.

    Returns:
        The utterance as float64 (samples,), within the range of 16-bit PCM.
    """
    level = decibels_to_gain(rng.uniform(*SPEECH_LEVEL_DB))
    recorded = speech * (level / max(rms(speech), 1e-9))
    floor = decibels_to_gain(rng.uniform(*NOISE_FLOOR_DB))
    noise_level = floor
    if rng.random() >= CLEAN_SHARE:
        noise_level += level * decibels_to_gain(-rng.uniform(*SNR_DB))
    tilt = rng.uniform(0.0, 1.0)
    recorded = recorded + noise_level * coloured_noise(len(speech), tilt, rng)
    peak = float(np.max(np.abs(recorded)))
    return recorded * min(1.0, PEAK_LIMIT / max(peak, 1e-9))
