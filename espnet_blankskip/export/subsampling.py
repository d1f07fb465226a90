"""ESPnet's input layers in a graph: from features to the frames of the encoder."""

from typing import Optional, Tuple

import numpy as np
import torch

from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import (
    CannotExport,
    activation,
    array,
    layer_norm,
    linear,
)
from espnet_blankskip.export.subsampling_in_8_bits import subsampled_in_8_bits


def embed(
    g: Graph, module: Optional[torch.nn.Module], feats: Value, lens: Value
) -> Tuple[Value, Value]:
    """Write the input layer, with absolute positions where the encoder has them.

    Args:
        g: The graph.
        module: The encoder's ``embed``.
        feats: Features (B, T_in, F).
        lens: Features of each utterance (B,).

    Returns:
        States (B, T, D), and frames of each utterance (B,).

    Raises:
        CannotExport: It is one that exported graphs do not know.
    """
    if module is None:
        return feats, lens
    if isinstance(module, torch.nn.Linear):
        return linear(g, module, feats), lens
    if hasattr(module, "conv"):
        feats = _long_enough(g, module.conv, feats)
        for conv in module.conv:
            if hasattr(conv, "kernel_size"):
                width, stride = conv.kernel_size[0], conv.stride[0]
                lens = g.op("Max", lens + (stride - width), 0) / stride
        # ESPnet of 2025 has the positions in a sequence behind the linear layer
        out = module.out
        steps = [*out] if isinstance(out, torch.nn.Sequential) else [out]
        steps += [module.pos_enc] if hasattr(module, "pos_enc") else []
        if g.int8 and _is_dense(module.conv):
            x = subsampled_in_8_bits(g, module.conv, steps.pop(0), feats)
        else:
            x = _convolutions(g, module.conv, feats)
    else:
        x, steps = feats, list(module)
    for step in steps:
        x = _step(g, step, x)
    return x, lens


def _is_dense(convs: torch.nn.Sequential) -> bool:
    """Whether they are products worth 8 bits: two-dimensional, over all channels."""
    kernels = [conv for conv in convs if hasattr(conv, "kernel_size")]
    return all(isinstance(c, torch.nn.Conv2d) and c.groups == 1 for c in kernels)


def _long_enough(g: Graph, convs: torch.nn.Sequential, feats: Value) -> Value:
    """Add zeros where there are too few features for a single frame."""
    field, step = 1, 1
    for conv in convs:
        if hasattr(conv, "kernel_size"):
            field += step * (conv.kernel_size[0] - 1)
            step *= conv.stride[0]
    missing = g.op("Max", g.op("Neg", feats.size(1)) + field, 0)
    shape = g.join(feats.size(0), missing, feats.size(2))
    return g.concat(feats, g.op("Expand", 0.0, shape), axis=1)


def _step(g: Graph, step: torch.nn.Module, x: Value) -> Value:
    if isinstance(step, torch.nn.Linear):
        return linear(g, step, x, "embed")
    if isinstance(step, torch.nn.LayerNorm):
        return layer_norm(g, step, x)
    if isinstance(step, (torch.nn.Dropout, torch.nn.Identity)):
        return x
    if isinstance(step, torch.nn.ReLU):
        return activation(g, step, x)
    kind = type(step).__name__
    if kind == "RelPositionalEncoding":
        return x * step.xscale
    if kind == "PositionalEncoding":
        return x * step.xscale + _sinusoids(g, x.size(1), step.d_model)
    if kind == "ScaledPositionalEncoding":
        return x + _sinusoids(g, x.size(1), step.d_model) * step.alpha.item()
    raise CannotExport(f"input layer with {kind} cannot be exported")


def _convolutions(g: Graph, convs: torch.nn.Sequential, feats: Value) -> Value:
    """Convolutions with ReLUs: (B, T_in, F) -> (B, T, C)."""
    flat = isinstance(convs[0], torch.nn.Conv1d)
    x = feats.transpose(0, 2, 1) if flat else feats.unsqueeze(1)
    for conv in convs:
        if isinstance(conv, torch.nn.ReLU):
            x = g.op("Relu", x)
            continue
        x = g.op(
            "Conv",
            x,
            g.weight(array(conv.weight), "subsampling.weight"),
            g.weight(array(conv.bias), "subsampling.bias"),
            kernel_shape=conv.kernel_size,
            strides=conv.stride,
            group=conv.groups,
        )
    if flat:
        return x.transpose(0, 2, 1)
    # the channels and frequencies of a frame side by side
    return g.op("Reshape", x.transpose(0, 2, 1, 3), [0, 0, -1])


def _sinusoids(g: Graph, time: Value, width: int) -> Value:
    """Encoding of absolute positions (T, D), sine and cosine in turn."""
    frequencies = np.exp(np.arange(0, width, 2) * -(np.log(1e4) / width))
    angles = g.range(time).as_float().unsqueeze(1) * frequencies
    waves = g.op("Sin", angles).unsqueeze(2), g.op("Cos", angles).unsqueeze(2)
    return g.concat(*waves, axis=2).reshape(-1, width)
