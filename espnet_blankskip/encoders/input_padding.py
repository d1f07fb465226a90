"""Keeps padding out of the one input layer that looks at neighbouring frames."""

import contextlib

import torch
from torch import Tensor

from espnet_blankskip.upstream import ConvolutionalPositionalEmbedding, make_pad_mask


@contextlib.contextmanager
def padding_hidden(embed: torch.nn.Module, lens: Tensor):
    """Within it, convolutional positions see zeros where the batch is padded.

    Args:
        embed: the encoder's input layer.
        lens: frames of each utterance after subsampling (B,).
    """

    def hide(conv, inputs):
        x = inputs[0]
        padding = make_pad_mask(lens, maxlen=x.size(2)).to(x.device)
        return (x.masked_fill(padding.unsqueeze(1), 0.0),)

    modules = [] if embed is None else embed.modules()
    hooks = [
        conv.register_forward_pre_hook(hide)
        for module in modules
        if isinstance(module, ConvolutionalPositionalEmbedding)
        for conv in module.convs
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
