"""Packing: move the chosen frames of a padded batch together, and back.

Every packed frame remembers its original position; nothing here ever renumbers time.
"""

from dataclasses import dataclass

import torch

#: How many values N may take for a given T where no gradient is recorded. Libraries
#: prepare and remember code for every size they meet, so that an hour of audio would
#: cost memory for all of them. (In training N stays exact: dropout draws by size.)
WIDTHS = 64


@dataclass(frozen=True)
class PackedFrames:
    """Where the chosen frames of a batch came from.

    Attributes:
        index: original positions (B, N) long, ascending; N is the largest number of
            chosen frames, at least 1, or some more (see ``WIDTHS``). Padding carries
            position 0.
        lens: chosen frames of each utterance (B,) long.
        valid: True on real entries of ``index`` (B, N) bool.
        rows: ``index`` into the batch flattened to B*T rows (B*N,) long, with
            padding sent to an extra row B*T.
        time: T, the length of the original time axis in frames.
        padded: whether any utterance has fewer chosen frames than N.
    """

    index: torch.Tensor
    lens: torch.Tensor
    valid: torch.Tensor
    rows: torch.Tensor
    time: int
    padded: bool


def pack_frames(chosen: torch.Tensor) -> PackedFrames:
    """Describe the chosen frames of a batch.

    Args:
        chosen: (B, T) bool.

    Returns:
        PackedFrames. A batch with nothing chosen packs to one padding entry per
        utterance, so that every layer still runs and every parameter still gets a
        (zero) gradient, which distributed training insists on.
    """
    batch, time = chosen.shape
    lens = chosen.sum(1)
    shortest, longest = (int(n) for n in lens.aminmax())
    step = 1 if torch.is_grad_enabled() else max(1, time // WIDTHS)
    width = min(time, -(-max(1, longest) // step) * step)
    # a stable sort of "not chosen" puts the chosen positions first, in order
    order = torch.sort((~chosen).to(torch.uint8), dim=1, stable=True).indices
    valid = torch.arange(width, device=chosen.device) < lens.unsqueeze(1)
    index = order[:, :width].masked_fill(~valid, 0)
    offset = torch.arange(batch, device=chosen.device).unsqueeze(1) * time
    rows = (index + offset).masked_fill(~valid, batch * time).reshape(-1)
    return PackedFrames(index, lens, valid, rows, time, shortest < width)


def gather_frames(full: torch.Tensor, frames: PackedFrames) -> torch.Tensor:
    """Take the chosen frames out of a batch: (B, T, C) -> (B, N, C).

    Padding entries of the result are zeros.
    """
    batch, time, channels = full.shape
    flat = full.reshape(batch * time, channels)
    if not frames.padded:
        return flat.index_select(0, frames.rows).view(batch, -1, channels)
    picked = flat.index_select(0, frames.rows.clamp(max=batch * time - 1))
    picked = picked.view(batch, -1, channels)
    return picked.masked_fill(~frames.valid.unsqueeze(-1), 0.0)


def scatter_frames(
    full: torch.Tensor, packed: torch.Tensor, frames: PackedFrames
) -> torch.Tensor:
    """Put packed frames back at their original positions.

    Args:
        full: (B, T, C), what the other positions hold.
        packed: (B, N, C).
        frames: where the packed frames came from.

    Returns:
        (B, T, C), a new tensor.
    """
    batch, time, channels = full.shape
    flat = torch.cat(
        [full.reshape(batch * time, channels), full.new_zeros(1, channels)]
    )
    flat = flat.index_copy(0, frames.rows, packed.reshape(-1, channels).to(flat.dtype))
    return flat[:-1].view(batch, time, channels)
