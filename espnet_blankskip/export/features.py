"""From the waveform to normalized features, in a graph."""

from typing import Optional, Tuple

import numpy as np
import torch

from espnet_blankskip.audio.log_mel import FLOOR, WINDOWS, LogMel
from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import CannotExport, array, linear
from espnet_blankskip.upstream import model_part


def log_mel_of(frontend: Optional[torch.nn.Module]) -> LogMel:
    """Describe a model's front-end.

    Raises:
        CannotExport: It is none that is known outside of torch.
    """
    if type(frontend) is not model_part("frontend", "default"):
        name = "input_size" if frontend is None else type(frontend).__name__
        raise CannotExport(f"front-end {name} cannot be exported; frontend=default can")
    stft, mel = frontend.stft, frontend.logmel
    if stft is None or stft.normalized or not stft.onesided:
        raise CannotExport(
            "frontend_conf apply_stft=false, normalized=true and onesided=false "
            "cannot be exported"
        )
    if stft.window is not None and stft.window not in WINDOWS:
        raise CannotExport(
            f"frontend_conf window={stft.window} cannot be exported; "
            f"{', '.join(WINDOWS)} can"
        )
    options = mel.mel_options
    found = LogMel(
        sample_rate=int(options["sr"]),
        n_fft=stft.n_fft,
        hop_length=stft.hop_length,
        win_length=stft.win_length,
        window=stft.window,
        center=stft.center,
        n_mels=options["n_mels"],
        fmin=float(options["fmin"]),
        fmax=float(options["fmax"]),
        htk=bool(options["htk"]),
        log_base=mel.log_base,
    )
    if not np.allclose(found.filters().T, array(mel.melmat), atol=1e-6):
        raise CannotExport("the checkpoint's mel filters are not those of its options")
    return found


class Features:
    """Writes a model's front-end, normalization and pre-encoder.

    Args:
        model: ESPnet's ASR model.
        waveform: Whether the graph begins with samples, and not with log-mel features.

    Raises:
        CannotExport: naming the part that cannot be exported.
    """

    def __init__(self, model: torch.nn.Module, waveform: bool):
        self.log_mel = log_mel_of(model.frontend) if waveform else None
        self._normalize, self._preencoder = model.normalize, model.preencoder
        for option, choices in (
            ("normalize", ("global_mvn", "utterance_mvn")),
            ("preencoder", ("linear",)),
        ):
            part = getattr(model, option)
            known = tuple(model_part(option, name) for name in choices)
            if part is not None and not isinstance(part, known):
                raise CannotExport(
                    f"{option} {type(part).__name__} cannot be exported; "
                    f"{' and '.join(choices)} can"
                )

    def __call__(self, g: Graph, x: Value, lens: Value) -> Tuple[Value, Value]:
        """Write them: the graph's inputs to the encoder's, and their lengths.

        Args:
            g: The graph.
            x: Samples (B, S), or log-mel features (B, T_in, F).
            lens: Lengths (B,).
        """
        if self.log_mel is not None:
            x, lens = waveform_to_log_mel(g, self.log_mel, x, lens)
        valid = g.range(x.size(1)).unsqueeze(0) < lens.unsqueeze(1)
        x = self._normalized(g, x, lens, valid.unsqueeze(2))
        if self._preencoder is not None:
            x = linear(g, self._preencoder.linear_out, x, "preencoder")
        return x, lens

    def _normalized(self, g: Graph, x: Value, lens: Value, valid: Value) -> Value:
        norm = self._normalize
        if norm is None:
            return x
        if isinstance(norm, model_part("normalize", "global_mvn")):
            if norm.norm_means:
                x = x - g.weight(array(norm.mean), "mvn.mean")
            return (
                x * g.weight(1 / array(norm.std), "mvn.scale") if norm.norm_vars else x
            )
        count = lens.as_float().unsqueeze(1).unsqueeze(2)
        centred = x
        for _ in range(2):  # a long sum of large values loses digits; that of rests not
            mean = centred.where(valid, 0.0).total(1, keepdims=True) / count
            centred = centred - mean
        centred = centred.where(valid, 0.0)
        y = centred if norm.norm_means else x
        if norm.norm_vars:
            var = (centred * centred).total(1, keepdims=True) / count
            y = y / g.op("Max", g.op("Sqrt", var), np.float32(norm.eps))
        return y


def waveform_to_log_mel(
    g: Graph, log_mel: LogMel, samples: Value, lens: Value
) -> Tuple[Value, Value]:
    """Write a front-end; every utterance is reflected at its own ends.

    The Fourier transform is a product by a matrix, which every runtime is good at.

    Args:
        g: The graph.
        log_mel: The front-end.
        samples: (B, S).
        lens: Samples of each utterance (B,).

    Returns:
        Features (B, T_in, M) and their lengths (B,).
    """
    size, hop = log_mel.n_fft, log_mel.hop_length
    # at least one frame, so that there is something to compute with
    time = g.op("Max", samples.size(1), size)
    if log_mel.center:
        margin = size // 2
        places = g.op("Abs", g.range(time + 2 * margin) - margin).unsqueeze(0)
        end = (lens - 1).unsqueeze(1)
        places = g.op("Max", end - g.op("Abs", end - places), 0)
        samples = g.op("GatherElements", samples, places, axis=1)
        time, lens = time + 2 * margin, lens + 2 * margin
    first = g.range((time - size) / hop + 1) * hop
    frames = samples.take(first.unsqueeze(1) + np.arange(size), axis=1)
    frames = frames.reshape(-1, size)

    turns = np.outer(np.arange(size), np.arange(size // 2 + 1)) / size
    waves = np.concatenate([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], 1)
    waves *= log_mel.window_function()[:, None]
    parts = frames @ g.weight(waves, "fourier")
    filters = log_mel.filters().T
    mel = (parts * parts) @ g.weight(np.concatenate([filters, filters]), "mel")
    mel = g.op("Log", g.op("Max", mel, FLOOR)) * log_mel.log_scale()
    mel = mel.reshape(samples.size(0), -1, log_mel.n_mels)
    return mel, (lens - size) / hop + 1
