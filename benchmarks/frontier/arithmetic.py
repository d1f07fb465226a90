"""Multiply-adds of a row's encoder and head for ten seconds of audio.

Numbers of what was kept come from readings, shapes from a model without weights.
"""

from dataclasses import replace
from functools import cache

import torch

from benchmarks.frontier.readings import Reading
from benchmarks.frontier.rows import ROWS, configuration
from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.zoo.cost import EncoderCost, encoder_cost

SECONDS = 10


def times_less(name: str, reading: Reading) -> float:
    """Multiply-adds of the stock encoder over those of a row, asked in one way.

    The stock encoder is ESPnet's conformer of the row's width with conv2d and twelve
    layers.
    """
    stock = _encoder_cost(
        name, input_layer="conv2d", subsampling_channels=None, num_blocks=12
    )
    return stock.dense() / _cost(name, reading)


def _cost(name: str, reading: Reading) -> float:
    """Multiply-adds of a row, asked in one way."""
    cost = _encoder_cost(name)
    head = cost.frames * cost.head
    if reading.way.startswith("early exit at "):
        way = reading.way.split(" at ")[1].partition(",")[0]
        stopped = _cost(name, replace(reading, way=way))
        going_on = _cost(name, replace(reading, way="dense")) + head  # read on the way
        share = reading.kept[0]
        return (1 - share) * stopped + share * going_on
    layers = cost.layers
    if reading.way.startswith("layer "):
        layers = int(reading.way.split()[1])
    gate = reading.gate
    gates = gate.get("gate_layers", [])
    if gate.get("conv_context", "stale") != "stale":
        cost = replace(cost, stale=0.0)
    factorized = configuration(ROWS[name])["model_conf"]["factorized_ctc"]
    running, total = 1.0, cost.subsampling
    for number in range(1, layers + 1):
        total += cost.layer(running, gate.get("attn_context", "kept"))
        if number in gates:
            if not factorized:
                total += running * head  # the gate reads all of it
            running = reading.kept[gates.index(number)]
    return total + running * head


@cache
def _encoder_cost(name: str, **changes) -> EncoderCost:
    """Arithmetic of a row's encoder, with options changed; positions are a table."""
    row = ROWS[name]
    options = {**configuration(row)["encoder_conf"], **changes}
    options.pop("gate_layers", None)
    with torch.device("meta"):
        encoder = BlankSkipConformerEncoder(80, **options)
        head = torch.empty(row.vocabulary, encoder.output_size())
    state = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    state["ctc.ctc_lo.weight"] = head
    by = 8 if options["input_layer"].endswith("8") else 4
    cost = encoder_cost(state, options["input_layer"], 100 * SECONDS // by)
    return replace(cost, table=0.0)
