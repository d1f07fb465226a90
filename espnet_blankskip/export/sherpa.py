"""What an unmodified sherpa-onnx needs to load an exported model.

sherpa-onnx has a loader for each kind of CTC model it knows, and a loader's features
cannot be chosen. Two of them can feed models of ESPnet's:

- ``omnilingual`` hands over the waveform, normalized to mean 0 and variance 1, and
  counts frames of 20 ms. With the front-end inside the graph its features are
  ESPnet's, but for the level of the recording, which is lost. A model that subtracts
  every utterance's own mean (``utterance_mvn``) never knew it.
- ``dolphin`` computes a log-mel filter bank with ESPnet's filters, but on frames of
  500 instead of 512 samples, 5 ms later, and behind a pre-emphasis of 0.97. The mean
  difference of each filter is known (`emphasis_offset`) and given to the loader as
  the mean to subtract; what is left is noise of the size that 5 ms make.

Checked against sherpa-onnx 2.0.1.
"""

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np
import torch

from espnet_blankskip.audio.log_mel import LogMel
from espnet_blankskip.export.modules import CannotExport
from espnet_blankskip.upstream import model_part

SAMPLE_RATE = 16000
#: Standard deviation that a recording is taken to have had, in place of the lost one;
#: only the floor under the filters' outputs and the encoder's silence depend on it.
USUAL_LEVEL = 0.05
_DOLPHIN = LogMel(
    sample_rate=SAMPLE_RATE,
    n_fft=512,
    hop_length=160,
    win_length=512,
    window="hann",
    center=True,
    n_mels=80,
    fmin=0.0,
    fmax=8000.0,
    htk=False,
)
_DOLPHIN_SAMPLES, _DOLPHIN_EMPHASIS = 500, 0.97


@dataclass(frozen=True)
class Loader:
    """A loader of sherpa-onnx.

    Args:
        name: Its option on sherpa-onnx's command line.
        function: Its constructor in Python.
        waveform: Whether it hands over samples.
        seconds: What it takes a frame to last.
        note: What differs from the package's own runtime.
    """

    name: str
    function: str
    waveform: bool
    seconds: float
    note: str

    def repeat(self, frame_shift: float) -> int:
        """How often each frame has to come for the loader's times to be true.

        Args:
            frame_shift: Seconds from one encoder frame to the next.

        Raises:
            CannotExport: No number of times is right.
        """
        times = frame_shift / self.seconds
        if round(times) < 1 or abs(times - round(times)) > 1e-6:
            raise CannotExport(
                f"--for sherpa-onnx: frames of {1000 * frame_shift:g} ms are no "
                f"multiple of the {1000 * self.seconds:g} ms that its loader "
                f"{self.name} counts in"
            )
        return round(times)

    def metadata(self, vocabulary: int) -> Dict[str, str]:
        """What the loader reads in the file."""
        if self.waveform:
            return {}
        return {
            "vocab_size": str(vocabulary),
            "mean": ",".join(f"{-x:.6f}" for x in emphasis_offset()),
            "invstd": ",".join(["1"] * _DOLPHIN.n_mels),
        }

    def python(self, folder: str) -> List[str]:
        """Lines of Python that recognize a file."""
        return [
            f"recognizer = sherpa_onnx.OfflineRecognizer.{self.function}("
            f'"{folder}/model.onnx", "{folder}/tokens.txt")',
            "stream = recognizer.create_stream()",
            "stream.accept_waveform(rate, samples); recognizer.decode_stream(stream)",
        ]

    def command(self, folder: str) -> str:
        """A command that recognizes a file."""
        return (
            f"sherpa-onnx-offline --tokens={folder}/tokens.txt "
            f"--{self.name}={folder}/model.onnx audio.wav"
        )


OMNILINGUAL = Loader(
    "omnilingual-asr-model",
    "from_omnilingual_asr_ctc",
    True,
    0.02,
    "the same features, whatever the recording's level",
)
DOLPHIN = Loader(
    "dolphin-model",
    "from_dolphin_ctc",
    False,
    0.04,
    "features computed by sherpa-onnx, 5 ms later: a few words may differ",
)


def choose_loader(log_mel: LogMel, normalize: Optional[torch.nn.Module]) -> Loader:
    """Choose the loader that feeds a model best.

    Args:
        log_mel: The model's front-end.
        normalize: Its normalization.

    Raises:
        CannotExport: No loader can feed it; the message says why.
    """
    if log_mel.sample_rate != SAMPLE_RATE:
        raise CannotExport(
            f"--for sherpa-onnx: no loader hears {log_mel.sample_rate} Hz, only "
            f"{SAMPLE_RATE} Hz"
        )
    own_mean = isinstance(normalize, model_part("normalize", "utterance_mvn"))
    if own_mean and normalize.norm_means:
        return OMNILINGUAL
    differing = [
        f"{name}={getattr(log_mel, name)} (not {value})"
        for name, value in vars(_DOLPHIN).items()
        if getattr(log_mel, name) != value
    ]
    if differing:
        raise CannotExport(
            "--for sherpa-onnx: its loader dolphin has other features than this "
            f"front-end: {', '.join(differing)}; models with normalize=utterance_mvn "
            "may have any"
        )
    return DOLPHIN


def emphasis_offset() -> np.ndarray:
    """ESPnet's log-mel features less dolphin's, on white noise: (80,)."""
    turns = 2 * np.pi * np.fft.rfftfreq(_DOLPHIN.n_fft)
    response = np.abs(1 - _DOLPHIN_EMPHASIS * np.exp(-1j * turns)) ** 2
    places = np.arange(_DOLPHIN_SAMPLES) / (_DOLPHIN_SAMPLES - 1)
    theirs = 0.5 - 0.5 * np.cos(2 * np.pi * places)
    ours, filters = _DOLPHIN.window_function(), _DOLPHIN.filters()
    heard = filters.sum(1) * (ours**2).sum()
    return np.log(heard) - np.log((filters @ response) * (theirs**2).sum())
