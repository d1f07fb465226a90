"""The CTC head in a graph, read as a plain or as a factorized one."""

from typing import Dict, Optional, Tuple

import torch

from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import (
    affine,
    array,
    layer_norm,
    log_sigmoid,
)
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.gate import BlankGate


class Head:
    """CTC head.

    Args:
        g: The graph.
        ctc: The model's head.

    Attributes:
        vocabulary: V, with blank.
    """

    def __init__(self, g: Graph, ctc: torch.nn.Module):
        self.g = g
        self.factorized = isinstance(ctc, FactorizedCTC)
        self._weight, self._bias = array(ctc.ctc_lo.weight), array(ctc.ctc_lo.bias)
        self.vocabulary = len(self._bias)
        self._written: Dict[Optional[int], Tuple[Value, Value]] = {}

    def blank_logp(self, states: Value) -> Value:
        """Log-probability of blank: (R, D) -> (R,)."""
        if self.factorized:
            return log_sigmoid(self.g, self._outputs(states, slice(1))).squeeze(1)
        return self.log_softmax(states).take(0, axis=1)

    def log_softmax(self, states: Value) -> Value:
        """Log-probabilities: (R, D) -> (R, V)."""
        g, z = self.g, self._outputs(states, slice(None))
        if not self.factorized:
            return g.op("LogSoftmax", z, axis=-1)
        blank, labels = z.cut(1, 0, 1), z.cut(1, 1, self.vocabulary)
        not_blank = g.op("Neg", g.op("Softplus", blank))
        labels = g.op("LogSoftmax", labels, axis=-1) + not_blank
        return g.concat(log_sigmoid(g, blank), labels, axis=1)

    def _outputs(self, states: Value, of: slice) -> Value:
        if of.stop not in self._written:
            self._written[of.stop] = (
                self.g.weight(self._weight[of].T, "ctc_lo.weight"),
                self.g.weight(self._bias[of], "ctc_lo.bias"),
            )
        weight, bias = self._written[of.stop]
        return states @ weight + bias


def own_gate(g: Graph, gate: BlankGate, states: Value) -> Value:
    """Log-probability of blank by a gate's own head: (R, D) -> (R,)."""
    states = layer_norm(g, gate.norm, states)
    weight, bias = array(gate.linear.weight), array(gate.linear.bias)
    odds = affine(g, weight, bias, states, "gate", True)
    return log_sigmoid(g, odds).squeeze(1)
