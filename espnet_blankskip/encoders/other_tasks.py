"""The encoders as ESPnet's tasks beside ASR can use them, or why they cannot.

A gate reads the model's CTC, so the model has to hand it over with the features. The
ASR task does, and OWSM-CTC; SLU and S2T do for encoders that condition on it.
"""

import argparse
from typing import Dict

from espnet_blankskip.encoders.gated_encoder import GatedEncoder

ST, TRANSDUCER = "espnet2.tasks.st", "espnet2.tasks.asr_transducer"
_REFUSALS = {
    ST: "its model hands its encoder no CTC for the gate to read",
    TRANSDUCER: "its encoder is made of the blocks in encoder_conf's body_conf, and "
    "no CTC reads a layer amid them",
}


def add_to_task(task, encoders: Dict[str, type]) -> None:
    """Make the encoders known to a task, in a form that says what it cannot do.

    Args:
        task: ESPnet's module of SLU, S2T, ST or asr_transducer.
        encoders: the plugin's encoders by name.
    """
    if task.__name__ == TRANSDUCER:
        _refuse_option(task.ASRTransducerTask, encoders)
        return
    form = _refused if task.__name__ == ST else _conditioned
    for name, encoder in encoders.items():
        if name not in task.encoder_choices.classes:
            task.encoder_choices.classes[name] = form(name, encoder, task.__name__)


def _conditioned(name: str, encoder: type, task: str) -> type:
    """An encoder that refuses gates which its model would never let it read."""

    class Conditioned(GatedEncoder):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            if self.gate_layers and not self.interctc_use_conditioning:
                raise ValueError(
                    f"gate_layers={self.gate_layers} in {task} needs "
                    "interctc_use_conditioning: true, with interctc_layer_idx: its "
                    "model hands its CTC, which the gate reads, to no other encoder"
                )

    return type(encoder.__name__, (Conditioned, encoder), {"__doc__": encoder.__doc__})


def _refused(name: str, encoder: type, task: str) -> type:
    """A stand-in that says, when it is built, why there is no such encoder."""

    def __init__(self, *args, **kwargs):
        raise ValueError(_refusal(name, task))

    return type(encoder.__name__, (encoder,), {"__init__": __init__})


def _refuse_option(task_class: type, encoders: Dict[str, type]) -> None:
    """Give a task's parser the option ``encoder``, which says why there is none."""
    if "refuses_encoder" in vars(task_class):
        return

    def read(name: str) -> str:
        why = _refusal(name, TRANSDUCER) if name in encoders else "no such option"
        raise argparse.ArgumentTypeError(why)

    add_arguments = task_class.add_task_arguments

    def add_task_arguments(cls, parser):
        add_arguments(parser)
        parser.add_argument(
            "--encoder", type=read, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )

    task_class.add_task_arguments = classmethod(add_task_arguments)
    task_class.refuses_encoder = True


def _refusal(name: str, task: str) -> str:
    return f"encoder={name} is of no use in {task}: {_REFUSALS[task]}"
