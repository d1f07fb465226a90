"""Speech from text with espeak-ng, taken from the pip package ``espeakng-loader``.

espeak-ng keeps its state in globals of the library, so that there is one synthesizer
per process and it must stay in one thread; use processes to go faster.
"""

import _ctypes
import ctypes
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import List

import numpy as np
import soxr

# Constants of espeak-ng's public header speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_DO_NOT_EXIT_ON_ERROR = 0x8000
_POSITION_CHARACTER = 1
_CHARACTERS_UTF8 = 1
_PARAMETERS = {"rate": 1, "pitch": 3, "pitch_range": 4}
_OK = 0

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

RATE_RANGE = (80, 450)
PERCENT_RANGE = (0, 100)
#: espeak-ng pads with silence; what is this far below the peak counts as silence.
SILENCE_DB = 45.0


@dataclass(frozen=True)
class Voice:
    """How an utterance is spoken.

    Args:
        accent: English accent of espeak-ng, for example ``en-us``.
        variant: Voice variant, for example ``f2``; it sets timbre and gender.
        rate: Words per minute, 80 to 450.
        pitch: 0 to 100, in the variant's own range.
        pitch_range: 0 (monotone) to 100.
    """

    accent: str
    variant: str
    rate: int = 170
    pitch: int = 50
    pitch_range: int = 50

    def __post_init__(self):
        for name, (low, high) in (
            ("rate", RATE_RANGE),
            ("pitch", PERCENT_RANGE),
            ("pitch_range", PERCENT_RANGE),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"voice {name}={value} must lie in {low}..{high}")

    @property
    def name(self) -> str:
        """Name under which espeak-ng finds accent and variant."""
        return f"{self.accent}+{self.variant}"


class _Synthesizer:
    """A freshly loaded espeak-ng that speaks one text.

    espeak-ng's speech depends on everything it has said before: oscillators, noise
    and random numbers live in static variables that neither a new seed nor
    ``espeak_Terminate`` sets back. Loading the library anew does, and takes a few
    milliseconds; with it the same text and voice give the same samples in any order
    and in any process.
    """

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError as error:
            raise ValueError(
                "speech synthesis needs the pip package espeakng-loader"
            ) from error
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise ValueError(f"speech synthesis: espeak-ng: {error}") from error
        self._data_path = Path(espeakng_loader.get_data_path())
        self._chunks: List[np.ndarray] = []
        self.sampling_rate = 0

    def __enter__(self) -> "_Synthesizer":
        library = self._library
        self.sampling_rate = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, bytes(self._data_path), _DO_NOT_EXIT_ON_ERROR
        )
        if self.sampling_rate <= 0:
            raise ValueError("speech synthesis: espeak-ng does not start")
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        # The library keeps only the address: without this reference the callback
        # would be collected while in use.
        self._callback = _CALLBACK(self._receive)
        library.espeak_SetSynthCallback(self._callback)
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self._library.espeak_Terminate()
        _ctypes.dlclose(self._library._handle)

    def _receive(self, samples, count, events) -> int:
        if samples and count > 0:
            chunk = np.ctypeslib.as_array(samples, shape=(count,))
            self._chunks.append(chunk.astype(np.float64) / 32768.0)
        return 0

    def speak(self, text: str, voice: Voice) -> np.ndarray:
        # For an unknown variant espeak-ng would speak with its plain voice.
        known = (self._data_path / "voices" / "!v" / voice.variant).is_file()
        status = self._library.espeak_SetVoiceByName(voice.name.encode())
        if not known or status != _OK:
            raise ValueError(f"speech synthesis: no voice {voice.name}")
        for name, number in _PARAMETERS.items():
            self._library.espeak_SetParameter(number, getattr(voice, name), 0)
        encoded = text.encode() + b"\0"
        with _signals_held():
            status = self._library.espeak_Synth(
                encoded,
                ctypes.c_size_t(len(encoded)),
                0,
                _POSITION_CHARACTER,
                0,
                _CHARACTERS_UTF8,
                None,
                None,
            )
        if status != _OK or not self._chunks:
            raise ValueError(f"speech synthesis: {voice.name} does not speak {text!r}")
        return np.concatenate(self._chunks)


@contextmanager
def _signals_held():
    """Deliver SIGINT and SIGTERM after the block.

    Their handlers stop the program by an exception, and ctypes swallows exceptions
    that are raised while it runs a callback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread only
        return
    held = []
    handlers = {
        number: signal.signal(number, lambda number, frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in held:
            signal.raise_signal(number)


def speak(text: str, voice: Voice, sampling_rate: int) -> np.ndarray:
    """Speak a text.

    Args:
        text: English words.
        voice: How to speak it.
        sampling_rate: Wanted sampling rate in Hz; espeak-ng's own is 22050.

    Returns:
        Speech of shape (samples,) in [-1, 1], without silence around it.

    Raises:
        ValueError: If the voice is unknown or espeak-ng is not installed.
    """
    with _Synthesizer() as synthesizer:
        audio = trim_silence(synthesizer.speak(text, voice))
        rate = synthesizer.sampling_rate
    return soxr.resample(audio, rate, sampling_rate)


def trim_silence(audio: np.ndarray) -> np.ndarray:
    """Cut off silence at both ends of a signal (samples,)."""
    level = np.abs(audio)
    loud = np.flatnonzero(level > level.max() * 10.0 ** (-SILENCE_DB / 20.0))
    return audio[loud[0] : loud[-1] + 1] if len(loud) else audio
