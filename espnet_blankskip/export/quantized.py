"""Products in 8 bits: weights quantized now, per column, and activations as they come.

The operators stand in the order in which ONNX Runtime replaces them by one.
"""

from typing import NamedTuple

import numpy as np

from espnet_blankskip.export.graph import Graph, Value

LARGEST = 127.0  # of a weight; symmetric, so that zero stays zero
SMALLEST = 1e-12  # that is scaled to the largest, so that none divides by zero


class Matrix(NamedTuple):
    """Matrices in 8 bits, whose zero is 0.

    Args:
        values: int8.
        scale: What a step of them is worth, () or by column.
    """

    values: Value
    scale: Value


class Quantized(NamedTuple):
    """A value in 8 bits.

    Args:
        values: uint8.
        scale: What a step of them is worth, ().
        zero_point: What 0 has become, () uint8.
    """

    values: Value
    scale: Value
    zero_point: Value

    def product(self, weight: np.ndarray, name: str) -> Value:
        """Multiply (..., C) by a matrix (C, C'): float32 (..., C')."""
        g = self.values.graph
        scale = np.maximum(np.abs(weight).max(0), SMALLEST) / LARGEST
        matrix = g.weight(np.rint(weight / scale).astype(np.int8), f"{name}.weight")
        return self.times(Matrix(matrix, g.weight(scale, f"{name}.scale")))

    def times(self, matrix: "Matrix") -> Value:
        """Multiply (..., C) by matrices (..., C, C'): float32 (..., C')."""
        g = self.values.graph
        counts = g.op("MatMulInteger", self.values, matrix.values, self.zero_point)
        return counts.as_float() * (self.scale * matrix.scale)


def quantized(g: Graph, x: Value) -> Quantized:
    """Quantize a value; one that several products share is quantized once."""
    known = g.remembered.get(x.name)
    if known is None:
        known = Quantized(*g.op("DynamicQuantizeLinear", x, outputs=3))
        g.remembered[x.name] = known
    return known


def quantized_above_zero(g: Graph, x: Value) -> Quantized:
    """Quantize what is above zero; everything below becomes zero, as by ReLU."""
    largest = g.op("Max", g.op("ReduceMax", x, keepdims=0), SMALLEST)
    zero = g.value(np.array(0, np.uint8))
    scale = largest / 255.0
    return Quantized(g.op("QuantizeLinear", x, scale, zero), scale, zero)


def quantized_matrix(g: Graph, x: Value) -> Matrix:
    """Quantize what others are multiplied by."""
    largest = g.op("ReduceMax", g.op("Abs", x), keepdims=0)
    scale = g.op("Max", largest, SMALLEST) / LARGEST
    return Matrix(
        g.op("QuantizeLinear", x, scale, g.value(np.array(0, np.int8))), scale
    )
