"""The gate: which frames still need the deep layers.

A frame whose intermediate CTC is sure of blank has nothing to say (Hou et al., "CTC
Blank Triggered Dynamic Layer-Skipping", ASRU 2023). The decision takes no gradient.
"""

import math

import torch


def exact(values: torch.Tensor) -> torch.Tensor:
    """Values in float32 or wider.

    A probability near 1 next to a threshold is no matter for the half precision that
    automatic mixed precision leaves a linear layer's output in.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def blank_log_prob(ctc: torch.nn.Module, states: torch.Tensor) -> torch.Tensor:
    """Log-probability of blank under a CTC head, without gradient.

    Args:
        ctc: a head with ``log_softmax``, or with a cheaper ``blank_logp``.
        states: normalized encoder states (B, T, D).

    Returns:
        blank_logp (B, T), natural logarithm, float32 or wider.
    """
    with torch.no_grad():
        if hasattr(ctc, "blank_logp"):
            return ctc.blank_logp(states)
        return exact(ctc.log_softmax(states)[..., 0])


class BlankGate(torch.nn.Module):
    """A gate's own head: one dot product per frame that predicts blank.

    For encoders whose intermediate layers never saw a CTC loss, so that the shared
    head cannot read them.

    Args:
        size: D, the model width.
    """

    def __init__(self, size: int):
        super().__init__()
        self.norm = torch.nn.LayerNorm(size)
        self.linear = torch.nn.Linear(size, 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Log-odds of blank: states (B, T, D) -> (B, T), float32 or wider."""
        return exact(self.linear(self.norm(states)).squeeze(-1))


def keep_frames(
    blank_logp: torch.Tensor,
    running: torch.Tensor,
    blank_threshold: float,
    spike_extension: int = 0,
) -> torch.Tensor:
    """Choose the frames that go on to the next layers.

    A frame is kept where ``blank_logp < log(blank_threshold)``, and so are its
    ``spike_extension`` neighbours in time on both sides, as far as they still run.

    Args:
        blank_logp: log-probability of blank (B, T).
        running: frames that reached this gate (B, T) bool; False on padding.
        blank_threshold: probability of blank from which a frame is skipped; above 1
            every running frame is kept.
        spike_extension: frames kept on each side of a spike.

    Returns:
        keep (B, T) bool, a subset of ``running``.
    """
    keep = (blank_logp < math.log(blank_threshold)) & running
    if spike_extension > 0:
        keep = widen(keep, spike_extension)
    return keep & running


def widen(frames: torch.Tensor, radius: int) -> torch.Tensor:
    """Add the ``radius`` frames on both sides of each chosen frame (B, T) bool."""
    return (
        torch.nn.functional.max_pool1d(
            frames.unsqueeze(1).float(), 2 * radius + 1, stride=1, padding=radius
        ).squeeze(1)
        > 0
    )
