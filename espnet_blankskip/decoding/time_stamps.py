"""Where encoder frames lie in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FrameClock:
    """Seconds of encoder frames.

    Frame t is centred at `first_centre + t * shift` and lasts one shift.

    Args:
        shift: Distance of two encoder frames in seconds.
        first_centre: Centre of the receptive field of frame 0 in seconds.
    """

    shift: float
    first_centre: float

    def start(self, frame: int) -> float:
        """Return when a frame begins, in seconds, never below 0."""
        return max(0.0, self.first_centre + (frame - 0.5) * self.shift)

    def end(self, frame: int) -> float:
        """Return when a frame ends, in seconds, never below 0."""
        return max(0.0, self.first_centre + (frame + 0.5) * self.shift)


class SubsamplingGeometry(NamedTuple):
    """How encoder frames lie on feature frames.

    Args:
        step: Feature frames per encoder frame.
        first_centre: Feature frame (may be a half) that encoder frame 0 is
            centred on.
        receptive_field: Feature frames that one encoder frame needs.
    """

    step: int
    first_centre: float
    receptive_field: int


def subsampling_geometry(embed: torch.nn.Module) -> SubsamplingGeometry:
    """Read the geometry of a subsampling stack from its convolutions.

    Works for ESPnet's conv2d, conv2d1, conv2d2, conv2d6, conv2d8 and conv1d
    layers alike, because it follows their kernel sizes and strides in time.

    Args:
        embed: The encoder's `embed` module.

    Returns:
        Step, first centre and receptive field, in feature frames.
    """
    import torch  # which reading a clock does without

    step, centre, field = 1, 0.0, 1
    for layer in embed.modules():
        if isinstance(layer, (torch.nn.Conv1d, torch.nn.Conv2d)):
            kernel, padding = layer.kernel_size[0], layer.padding[0]
            centre += step * ((kernel - 1) / 2 - padding)
            field += step * (kernel - 1)
            step *= layer.stride[0]
    return SubsamplingGeometry(step, centre, field)


def frame_clock(model: torch.nn.Module, sample_rate: int) -> Optional[FrameClock]:
    """Build the clock of a model's encoder frames.

    Args:
        model: ASR model with a front-end on a centred STFT.
        sample_rate: Samples per second.

    Returns:
        The clock, or None where the front-end does not tell its hop, or a
        post-encoder may change the frames.
    """
    hop_length, embed = _hop_and_embed(model)
    if hop_length is None or getattr(model, "postencoder", None) is not None:
        return None
    geometry = subsampling_geometry(embed)
    hop = hop_length / sample_rate
    return FrameClock(
        shift=geometry.step * hop, first_centre=geometry.first_centre * hop
    )


def shortest_input(model: torch.nn.Module) -> int:
    """Return the fewest samples that a model turns into one encoder frame."""
    hop_length, embed = _hop_and_embed(model)
    if hop_length is None:
        return 1
    stft = getattr(model.frontend, "stft", None)
    # A centred STFT reflects half a window at both ends, which must exist.
    reflected = stft.n_fft // 2 + 1 if stft is not None else 1
    field = subsampling_geometry(embed).receptive_field
    return max(reflected, (field - 1) * hop_length)


def _hop_and_embed(model: torch.nn.Module):
    hop_length = getattr(model.frontend, "hop_length", None)
    embed = getattr(model.encoder, "embed", None)
    return (None, None) if embed is None else (hop_length, embed)


def token_times(
    clock: FrameClock, start: Iterable[int], end: Iterable[int]
) -> Tuple[Tuple[float, float], ...]:
    """Turn first and last frames of tokens into (start, end) seconds."""
    return tuple((clock.start(s), clock.end(e)) for s, e in zip(start, end))
