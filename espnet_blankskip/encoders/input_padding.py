"""Keeps padding out of the one input layer that looks at neighbouring frames."""

import contextlib
from contextvars import ContextVar
from typing import Optional

import torch
from torch import Tensor

from espnet_blankskip.upstream import ConvolutionalPositionalEmbedding, make_pad_mask

# frames of each utterance of the batch that this thread now embeds, (B,)
_LENS: ContextVar[Optional[Tensor]] = ContextVar("lens", default=None)


def hide_padding(embed: Optional[torch.nn.Module]) -> None:
    """Make convolutional positions see zeros where a batch is padded.

    Once for an input layer; ``padding_of`` then tells it of each batch.

    Args:
        embed: the encoder's input layer.
    """
    for module in [] if embed is None else embed.modules():
        if isinstance(module, ConvolutionalPositionalEmbedding):
            for conv in module.convs:
                conv.register_forward_pre_hook(_hide)


@contextlib.contextmanager
def padding_of(lens: Tensor):
    """Within it, in this thread, padding begins after these lengths.

    Args:
        lens: frames of each utterance after subsampling (B,).
    """
    before = _LENS.set(lens)
    try:
        yield
    finally:
        _LENS.reset(before)


def _hide(conv: torch.nn.Module, inputs):
    lens, x = _LENS.get(), inputs[0]
    if lens is None:
        return inputs
    padding = make_pad_mask(lens, maxlen=x.size(2)).to(x.device)
    return (x.masked_fill(padding.unsqueeze(1), 0.0),)
