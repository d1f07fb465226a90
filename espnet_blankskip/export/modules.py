"""ESPnet's modules that treat frames one by one, written into a graph.

States are rows: all frames of all utterances below each other, (R, D). Products of
rows by a matrix are what every runtime computes best.
"""

import math

import numpy as np
import torch

from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.quantized import quantized


class CannotExport(ValueError):
    """A model has an option that exported graphs do not know."""


def array(tensor: torch.Tensor) -> np.ndarray:
    """Parameter as a numpy array."""
    return tensor.detach().cpu().double().numpy()


def linear(
    g: Graph, module: torch.nn.Module, x: Value, name: str = "linear", scale=1.0
) -> Value:
    """Linear layer, or convolution of width 1, times a number: (R, C) -> (R, C')."""
    weight = scale * array(module.weight)
    if weight.ndim == 3:
        weight = weight[:, :, 0]
    bias = None if module.bias is None else scale * array(module.bias)
    return affine(g, weight, bias, x, name)


def affine(g: Graph, weight, bias, x: Value, name: str, exact: bool = False) -> Value:
    """Multiply rows (R, C) by a matrix (C', C) and add a vector (C',) or None.

    Args:
        g: The graph.
        weight, bias: numpy arrays.
        x: The rows.
        name: Of the weights.
        exact: Compute in float32 in a graph of 8 bits, too.
    """
    if g.int8 and not exact:
        product = quantized(g, x).product(weight.T, name)
    else:
        product = x @ g.weight(weight.T, f"{name}.weight")
    return product if bias is None else product + g.weight(bias, f"{name}.bias")


def layer_norm(g: Graph, module: torch.nn.LayerNorm, x: Value, scale=1.0) -> Value:
    """Layer normalization of the last axis, its result times a number."""
    return g.op(
        "LayerNormalization",
        x,
        g.weight(scale * array(module.weight), "norm.weight"),
        g.weight(scale * array(module.bias), "norm.bias"),
        axis=-1,
        epsilon=module.eps,
    )


def activation(g: Graph, module: torch.nn.Module, x: Value) -> Value:
    """Activation function of any shape.

    Raises:
        CannotExport: It is one that ESPnet's encoders do not have.
    """
    kind = type(module).__name__.replace("Accelerated", "")
    if kind in ("Swish", "SiLU"):
        return x * g.op("Sigmoid", x)
    if kind == "ReLU":
        return g.op("Relu", x)
    if kind == "Tanh":
        return g.op("Tanh", x)
    if kind == "Hardtanh":
        return g.op("Clip", x, float(module.min_val), float(module.max_val))
    if kind == "SELU":
        return g.op("Selu", x)
    if kind == "GELU":
        return (x * (g.op("Erf", x * math.sqrt(0.5)) + 1.0)) * 0.5
    if kind == "Identity":
        return x
    raise CannotExport(f"activation {kind} cannot be exported")


def feed_forward(g: Graph, module: torch.nn.Module, x: Value, scale=1.0) -> Value:
    """Position-wise feed-forward module, times a number: (R, D) -> (R, D).

    Raises:
        CannotExport: It is a convolution over time.
    """
    if not isinstance(module.w_1, torch.nn.Linear):
        raise CannotExport(
            "positionwise_layer_type other than linear cannot be exported"
        )
    hidden = activation(g, module.activation, linear(g, module.w_1, x, "w_1"))
    return linear(g, module.w_2, hidden, "w_2", scale)


def gated_linear_unit(g: Graph, x: Value, width: int) -> Value:
    """First half of the columns, gated by the second: (R, 2 C) -> (R, C)."""
    values, gates = g.op("Split", x, [width, width], outputs=2, axis=-1)
    return values * g.op("Sigmoid", gates)


def log_sigmoid(g: Graph, x: Value) -> Value:
    """log(1 / (1 + exp(-x)))."""
    return g.op("Neg", g.op("Softplus", g.op("Neg", x)))
