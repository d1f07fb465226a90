"""Build a model from its training config without importing ESPnet's ASR task.

The task imports every front-end, tokenizer and trainer that ESPnet has, which takes
ten seconds. A model made of common parts needs none of that. Whatever is not common
is built by the task, slowly.
"""

import contextlib
import logging
from argparse import Namespace
from typing import Any, Dict, List, Optional

import torch

from espnet_blankskip.audio.mel_filters import mel_filters
from espnet_blankskip.checkpoint.s2t_ctc_building import (
    build_s2t_ctc_model,
    is_s2t_ctc,
)
from espnet_blankskip.upstream import CTC, asr_task, mel_filters_by, model_part

_OPTIONS = ("frontend", "specaug", "normalize", "preencoder", "encoder", "decoder")


def build_asr_model(train_args: Namespace) -> torch.nn.Module:
    """Build what ``ASRTask.build_model`` builds, up to its random weights.

    A config of OWSM-CTC gets the model of ESPnet's S2T task.

    Warnings of the constructors are dropped: they give advice about training.

    Args:
        train_args: Values of the training config; ``token_list`` may name a file.

    Returns:
        The model. Its weights mean nothing until a checkpoint's are loaded.

    Raises:
        AttributeError: The config lacks an option.
        Exception: Whatever ESPnet's constructors raise at options they do not take.
    """
    if is_s2t_ctc(vars(train_args)):
        tokens = _token_list(train_args.token_list)
        with _without_warnings(), mel_filters_by(mel_filters):
            return build_s2t_ctc_model(train_args, tokens)
    classes = part_classes(train_args)
    with _without_warnings():
        if classes is not None:
            return _assemble(train_args, classes)
        import espnet_blankskip

        espnet_blankskip.register()
        return asr_task().build_model(train_args)


def part_classes(train_args: Namespace) -> Optional[Dict[str, Optional[type]]]:
    """Find the classes of a model's parts.

    Returns:
        A class, or None for an absent part, by option; None in place of the whole
        where one of them is known only to ESPnet's task.
    """
    values = vars(train_args)
    model_conf = values.get("model_conf") or {}
    if (
        values.get("postencoder") is not None
        # more blanks than one are put into the vocabulary by the task
        or model_conf.get("transducer_multi_blank_durations") is not None
    ):
        return None
    names = {option: values.get(option) for option in _OPTIONS}
    names["model"] = values.get("model") or "espnet"
    if values.get("input_size") is not None:
        names["frontend"] = None  # it is trained on features
    elif names["frontend"] is None:
        return None
    classes: Dict[str, Optional[type]] = {}
    for option, name in names.items():
        classes[option] = None if name is None else _find(option, str(name))
        if name is not None and classes[option] is None:
            return None
    return classes if classes["encoder"] is not None else None


@contextlib.contextmanager
def _without_warnings():
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


def _find(option: str, name: str) -> Optional[type]:
    """Return a class of the plugin, else of ESPnet."""
    from espnet_blankskip.encoders import ENCODERS
    from espnet_blankskip.model import BlankSkipASRModel

    ours = {"encoder": ENCODERS, "model": {"blankskip": BlankSkipASRModel}}
    return ours.get(option, {}).get(name) or model_part(option, name)


def _assemble(
    train_args: Namespace, classes: Dict[str, Optional[type]]
) -> torch.nn.Module:
    tokens = _token_list(train_args.token_list)

    def part(option: str, **sizes: Any):
        if classes[option] is None:
            return None
        return classes[option](**sizes, **getattr(train_args, f"{option}_conf"))

    with mel_filters_by(mel_filters):
        frontend = part("frontend")
    preencoder = part("preencoder")
    width = train_args.input_size
    for feeder in (frontend, preencoder):
        width = width if feeder is None else feeder.output_size()
    encoder = part("encoder", input_size=width)
    states = encoder.output_size()
    return part(
        "model",
        vocab_size=len(tokens),
        token_list=tokens,
        frontend=frontend,
        specaug=part("specaug"),
        normalize=part("normalize"),
        preencoder=preencoder,
        encoder=encoder,
        postencoder=None,
        decoder=part("decoder", vocab_size=len(tokens), encoder_output_size=states),
        ctc=CTC(odim=len(tokens), encoder_output_size=states, **train_args.ctc_conf),
        joint_network=None,
    )


def _token_list(tokens) -> List[str]:
    if isinstance(tokens, str):
        with open(tokens, encoding="utf-8") as lines:
            return [line.rstrip() for line in lines]
    return list(tokens)
