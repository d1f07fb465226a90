"""ESPnet's own encoder with the weights of a blankskip checkpoint: the baseline."""

import argparse
import inspect

import torch

from espnet_blankskip.checkpoint.loading import statistics_at_hand
from espnet_blankskip.checkpoint.model_building import build_asr_model
from espnet_blankskip.encoders.depthwise_subsampling import DEPTHWISE
from espnet_blankskip.encoders.gated_encoder import GatedEncoder
from espnet_blankskip.upstream import ESPnetASRModel

PREFIX = "blankskip_"
GATE_WEIGHTS = ("encoder.gate.", "encoder.blank_state")  # of gate_head: own


def build_stock_twin(
    model: torch.nn.Module, train_args: argparse.Namespace
) -> torch.nn.Module:
    """Build the stock model of a blankskip checkpoint, key for key.

    Args:
        model: Trained model around a blankskip encoder.
        train_args: The arguments it was built from.

    Returns:
        A stock ESPnet model in eval mode with the same weights and the same head.

    Raises:
        ValueError: The encoder has no stock counterpart.
        RuntimeError: The weights do not fit it.
    """
    if not train_args.encoder.startswith(PREFIX):
        raise ValueError(f"encoder {train_args.encoder} is not one of the plugin's")
    input_layer = train_args.encoder_conf.get("input_layer")
    if input_layer in DEPTHWISE:
        raise ValueError(
            f"input_layer={input_layer} is the plugin's, and no encoder of ESPnet's "
            "has it"
        )
    ours = set(inspect.signature(GatedEncoder.__init__).parameters)
    stock = set(inspect.signature(ESPnetASRModel.__init__).parameters)
    args = argparse.Namespace(**vars(train_args))
    args.encoder = train_args.encoder[len(PREFIX) :]
    args.encoder_conf = {
        k: v for k, v in train_args.encoder_conf.items() if k not in ours
    }
    args.model = "espnet"
    args.model_conf = {k: v for k, v in train_args.model_conf.items() if k in stock}
    state = model.state_dict()
    with statistics_at_hand(args, state):
        twin = build_asr_model(args)
    body = {name: state[name] for name in state if not name.startswith(GATE_WEIGHTS)}
    twin.load_state_dict(body, strict=True)
    twin.ctc = model.ctc  # a factorized head reads the same weights differently
    weight = next(model.parameters())
    return twin.to(device=weight.device, dtype=weight.dtype).eval()
