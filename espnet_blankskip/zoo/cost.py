"""How much arithmetic skipping saves: an estimate from the shapes of the weights.

Counts multiply-adds of subsampling, encoder layers and CTC head for one utterance.
It knows nothing of memory, caches or kernels; measured speed-ups are lower where the
gathers and small matrices cost, and only a measurement tells.
"""

import re
from dataclasses import dataclass
from typing import Dict, List, Sequence

import torch

from espnet_blankskip.zoo.weights import HEAD, count_layers

UTTERANCE_FRAMES = 250  # 10 s of speech at 40 ms a frame
# strides in time (and frequency) of each convolution of the input layers
STRIDES = {
    "conv2d": (2, 2),
    "conv2d1": (1, 1),
    "conv2d2": (2, 1),
    "conv2d6": (2, 3),
    "conv2d8": (2, 2, 2),
    "dw_conv2d": (2, 2, 1),
    "dw_conv2d8": (2, 2, 1, 2, 1),
    "conv1d1": (1, 1),
    "conv1d2": (1, 2),
    "conv1d3": (1, 3),
}
# where a layer projects what its convolution sees of a skipped frame, and the share of
# it: of cgMLP's first projection only the half that gates
_STALE_PROJECTIONS = {"conv_module.pointwise_conv1": 1.0, "cgmlp.channel_proj1.0": 0.5}
# where it projects the keys and values of a frame
_KEY_PROJECTIONS = ("linear_k", "linear_v")


@dataclass(frozen=True)
class EncoderCost:
    """Multiply-adds of an encoder for one utterance of T frames.

    Attributes:
        subsampling: the input layer.
        per_frame: a layer's own work on a frame.
        stale: the part of ``per_frame`` that a skipped frame near a kept one still
            costs with ``conv_context: stale``.
        keys: the part of ``per_frame`` that every skipped frame still costs with
            ``attn_context: all``.
        per_pair: attention's work for one query and one key.
        per_position: its work for one query and one place of the relative table.
        table: its projection of the relative table.
        head: the CTC head on one frame.
        layers, frames: L and T.
    """

    subsampling: float
    per_frame: float
    stale: float
    keys: float
    per_pair: float
    per_position: float
    table: float
    head: float
    layers: int
    frames: int

    def layer(self, kept: float, attn_context: str = "kept") -> float:
        """One layer in which a share ``kept`` of the frames runs."""
        running = kept * self.frames
        skipped = self.frames - running
        cost = running * self.per_frame + self.table
        cost += running * running * self.per_pair
        cost += running * self.frames * self.per_position
        # an upper bound: every skipped frame is within reach of a kept one
        if 0 < kept < 1:
            cost += skipped * self.stale
        if attn_context == "all":
            cost += skipped * self.keys + running * skipped * self.per_pair
        return cost

    def dense(self, conditioned: int = 0) -> float:
        """All frames through all layers; ``conditioned`` layers read the head too."""
        heads = (1 + 2 * conditioned) * self.frames * self.head
        return self.subsampling + self.layers * self.layer(1.0) + heads

    def skipping(
        self, gate: int, kept: float, factorized: bool, conditioned: Sequence[int] = ()
    ) -> float:
        """All frames through ``gate`` layers, a share ``kept`` through the rest."""
        cost = self.subsampling + gate * self.layer(1.0)
        cost += (self.layers - gate) * self.layer(kept)
        cost += kept * self.frames * self.head
        if not factorized:
            cost += self.frames * self.head  # the gate reads the whole head
        for number in conditioned:
            share = 1.0 if number <= gate else kept
            cost += 2 * share * self.frames * self.head
        return cost


def encoder_cost(
    state: Dict[str, torch.Tensor], input_layer: str, frames: int = UTTERANCE_FRAMES
) -> EncoderCost:
    """Read an encoder's arithmetic off its weights.

    Args:
        state: the model's state dict.
        input_layer: ESPnet's option of that name.
        frames: T, encoder frames of the utterance.
    """
    layer = re.compile(r"encoder\.encoders\.0\.(.+)\.weight$")
    per_frame = stale = keys = table = 0.0
    width = state["encoder.after_norm.weight"].numel()
    for name, weight in state.items():
        match = layer.match(name)
        if not match or weight.dim() < 2:
            continue
        if match.group(1).endswith("linear_pos"):
            table = (2 * frames - 1) * weight.numel()
            continue
        per_frame += weight.numel()
        stale += _STALE_PROJECTIONS.get(match.group(1), 0.0) * weight.numel()
        if match.group(1).endswith(_KEY_PROJECTIONS):
            keys += weight.numel()
    return EncoderCost(
        subsampling=_subsampling(state, input_layer, frames),
        per_frame=per_frame,
        stale=stale,
        keys=keys,
        per_pair=2 * width,
        per_position=2 * width if table else 0.0,
        table=table,
        head=state[HEAD].numel() if HEAD in state else 0.0,
        layers=count_layers(state),
        frames=frames,
    )


def speed_ups(
    cost: EncoderCost,
    gates: Sequence[int],
    kept_ratios: Sequence[float],
    factorized: bool,
    conditioned: Sequence[int] = (),
) -> List[Dict[str, float]]:
    """Estimated dense / skipping arithmetic of encoder and head.

    Returns:
        One {"gate_layer", "kept", "speed_up"} per gate and kept ratio.
    """
    dense = cost.dense(len(conditioned))
    return [
        {
            "gate_layer": gate,
            "kept": kept,
            "speed_up": round(
                dense / cost.skipping(gate, kept, factorized, conditioned), 2
            ),
        }
        for gate in gates
        for kept in kept_ratios
    ]


def _subsampling(state, input_layer: str, frames: int) -> float:
    """Multiply-adds of the input layer for ``frames`` output frames."""
    name = re.compile(r"encoder\.embed\.(conv|out|0)\b.*weight$")
    weights = [w for n, w in state.items() if name.match(n) and w.dim() >= 2]
    convs = [w for w in weights if w.dim() >= 3]
    cost = float(sum(w.numel() for w in weights if w.dim() == 2)) * frames
    strides = STRIDES.get(input_layer, (1,) * len(convs))
    linear = next((w for w in weights if w.dim() == 2), None)
    bins = 1
    if convs and convs[0].dim() == 4 and linear is not None:
        bins = linear.size(1) // convs[-1].size(0)
    places = frames
    for weight, stride in reversed(list(zip(convs, strides))):
        cost += weight.numel() * places * bins
        places *= stride
        if weight.dim() == 4:
            bins = (bins - 1) * stride + weight.size(-1)
    return cost
