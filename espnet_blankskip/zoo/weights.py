"""Read and write weights, and nothing but weights; tell what they are."""

import re
from pathlib import Path
from typing import Dict, Optional

import torch

from espnet_blankskip.checkpoint import read_state_dict
from espnet_blankskip.zoo.errors import CheckpointError

HEAD = "ctc.ctc_lo.weight"
_BUFFERS = re.compile(
    r"(running_mean|running_var|num_batches_tracked|melmat)$|^normalize\."
)
_LAYER = re.compile(r"encoder\.encoders\.(\d+)\.")


def read_weights(model_file: Path) -> Dict[str, torch.Tensor]:
    """Read a state dict with ``weights_only=True``.

    Raises:
        CheckpointError: it is something else; says what, and the remedy.
    """
    try:
        return read_state_dict(model_file, weights_only=True)
    except (ValueError, FileNotFoundError) as error:
        line = str(error).replace("--asr_model_file ", "")
        raise CheckpointError(line) from None


def write_weights(state: Dict[str, torch.Tensor], model_file: Path) -> None:
    """Write a state dict.

    Raises:
        OSError: there is no room, or no right to.
    """
    try:
        with open(model_file, "wb") as stream:
            torch.save(state, stream)
    except RuntimeError as error:  # from torch's zip, which the fault left unfinished
        if isinstance(error.__context__, OSError):
            cause = error.__context__
            raise OSError(cause.errno, cause.strerror, str(model_file)) from None
        raise


def count_parameters(state: Dict[str, torch.Tensor]) -> Dict[str, int]:
    """Trained numbers by part of the model ("encoder", "ctc", ...), and "total"."""
    counts: Dict[str, int] = {}
    for name, tensor in state.items():
        if not _BUFFERS.search(name):
            part = name.split(".")[0]
            counts[part] = counts.get(part, 0) + tensor.numel()
    return {**counts, "total": sum(counts.values())}


def count_layers(state: Dict[str, torch.Tensor]) -> int:
    """Encoder layers that the weights have; 0 for another kind of encoder."""
    numbers = {int(m.group(1)) for m in map(_LAYER.match, state) if m}
    return max(numbers) + 1 if numbers else 0


def encoder_kind(state: Dict[str, torch.Tensor]) -> str:
    """What the first encoder layer is: conformer, e_branchformer or transformer."""
    names = [n for n in state if n.startswith("encoder.encoders.0.")]
    if any(".cgmlp." in n for n in names):
        return "e_branchformer"
    if any(".conv_module." in n or ".feed_forward_macaron." in n for n in names):
        return "conformer"
    return "transformer"


def head_shape(state: Dict[str, torch.Tensor]) -> Optional[torch.Size]:
    """(V, D) of the CTC head, or None where there is none."""
    return state[HEAD].shape if HEAD in state else None
