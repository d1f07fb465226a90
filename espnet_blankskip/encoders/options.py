"""Checks of the encoders' options; every error names the option and its range."""

import inspect
from typing import Callable, Iterable, Optional, Sequence, Union

import torch

from espnet_blankskip.option_values import as_count, as_number
from espnet_blankskip.upstream import ESPNET, LegacyRelPositionMultiHeadedAttention
from espnet_blankskip.version import __version__, is_older

GATE_HEADS = ("ctc", "own")


def check_espnet_options(given: Iterable[str], constructor: Callable) -> None:
    """Check that the ESPnet at hand knows every option of its encoder.

    Args:
        given: names of options.
        constructor: ``__init__`` of ESPnet's encoder.
    """
    known = inspect.signature(constructor).parameters
    unknown = [option for option in given if option not in known]
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)}: no option of ESPnet {ESPNET.version}'s "
            f"{constructor.__qualname__.split('.')[0]} or of the plugin"
        )


def checked_train_skip(train_skip: Union[bool, float]) -> float:
    """Return the probability of skipping in a training batch."""
    chance = float(train_skip) if train_skip in (True, False) else as_number(train_skip)
    if not 0.0 <= chance <= 1.0:
        raise ValueError(
            f"train_skip={train_skip} must be true, false or a probability in 0..1"
        )
    return chance


def checked_warmup_steps(skip_warmup_steps: int) -> int:
    """Return the training batches before skipping starts."""
    steps = as_count(skip_warmup_steps)
    if steps is None:
        raise ValueError(
            f"skip_warmup_steps={skip_warmup_steps} must be a whole number >= 0"
        )
    return steps


def check_gates_exist(gate_layers: Sequence[int], num_blocks: int) -> None:
    """Check that an encoder has the layers that are to gate, and one above them."""
    if gate_layers and not max(gate_layers) < num_blocks:
        raise ValueError(
            f"gate_layers={list(gate_layers)} must lie in 1..{num_blocks - 1} for "
            f"num_blocks={num_blocks}"
        )


def check_plugin_version(requires_plugin: Optional[str]) -> None:
    """Check that this package is as new as a checkpoint needs it."""
    if requires_plugin is not None and is_older(__version__, requires_plugin):
        raise ValueError(
            f"this checkpoint needs espnet_blankskip {requires_plugin}, newer than "
            f"the {__version__} installed: "
            f"pip install 'espnet_blankskip>={requires_plugin}'"
        )


def check_can_skip(
    attn: torch.nn.Module, feed_forward: torch.nn.Module, ctc_trim: bool
) -> None:
    """Refuse stock options whose meaning depends on unbroken time.

    Args:
        attn: a layer's self-attention.
        feed_forward: a layer's feed-forward module.
        ctc_trim: ESPnet's option of that name.
    """
    if isinstance(attn, LegacyRelPositionMultiHeadedAttention):
        raise ValueError(
            "gate_layers needs rel_pos_type=latest (or selfattn): the legacy table is "
            "indexed by padded length, so gathered frames have no true positions in it"
        )
    if isinstance(getattr(feed_forward, "w_1", None), torch.nn.Conv1d):
        raise ValueError(
            "gate_layers needs positionwise_layer_type=linear: a convolution over kept "
            "frames would not see true neighbours"
        )
    if ctc_trim:
        raise ValueError(
            "ctc_trim=true shortens the utterance and cannot go with gate_layers"
        )
