"""Read the weights in a file, or say what the file is instead."""

import contextlib
import datetime
import re
import zipfile
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np
import torch

from espnet_blankskip.checkpoint.lightning import weights_inside
from espnet_blankskip.terminal import first_of, one_line

_HEAD_BYTES = 512
#: What cannot be a checkpoint, by how it begins.
_NO_CHECKPOINT = (
    (
        b"version https://git-lfs",
        "is a Git LFS pointer, not the weights themselves: run `git lfs pull` where it "
        "was cloned, or download the file",
    ),
    (b"<", "is a web page, such as a download answers that failed: download it anew"),
)
_ZIP, _PICKLE, _TAR = b"PK", b"\x80", b"ustar"
#: Names that wrappers of a model (torch.compile, FSDP, checkpointing) put into those of
#: its weights, and those that DataParallel and DDP put before all of them.
_WRAPPERS = re.compile(
    r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
_PARALLEL = "module."


def read_state_dict(
    model_file: Path, weights_only: bool = True
) -> Dict[str, torch.Tensor]:
    """Read a checkpoint's state dict: ESPnet2's, or the one in Lightning's of ESPnet3.

    Args:
        model_file: The file.
        weights_only: Refuse pickled objects in it.

    Returns:
        Weights by name, without what wrappers of the model put into the names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint, is damaged, would run code when loaded, or is
            the trainer's resume file (`checkpoint.pth`) instead of a model.
    """
    if not model_file.is_file():
        raise FileNotFoundError(f"--asr_model_file: no such file: {model_file}")
    what = _no_checkpoint(model_file)
    if what:
        raise ValueError(f"--asr_model_file {model_file} {what}")
    try:
        with _trainers_values_allowed():
            state = torch.load(
                model_file, map_location="cpu", weights_only=weights_only
            )
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(
            f"--asr_model_file {model_file} {_why_not_loaded(model_file, error)}"
        ) from None
    if isinstance(state, dict) and "model" in state and "optimizers" in state:
        raise ValueError(
            f"--asr_model_file {model_file} is the trainer's resume file, not a model: "
            f"use {_models_beside(model_file)}"
        )
    state = weights_inside(state)
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor)
        for name, value in state.items()
    ):
        raise ValueError(
            f"--asr_model_file {model_file} is not a state dict: it holds "
            f"{_contents(state)} (torch.save(model.state_dict(), ...) writes one)"
        )
    return without_wrappers(state)


def without_wrappers(state: Dict[str, Any]) -> Dict[str, Any]:
    """Name weights as the model itself does, whatever it was wrapped in."""
    state = {_WRAPPERS.sub("", name): value for name, value in state.items()}
    while state and all(name.startswith(_PARALLEL) for name in state):
        state = {name[len(_PARALLEL) :]: value for name, value in state.items()}
    return state


def _no_checkpoint(model_file: Path) -> Optional[str]:
    """What a file is that torch can never have written; None if it may have."""
    with model_file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        return "is empty: its download or copy was cut off, get it anew"
    for beginning, what in _NO_CHECKPOINT:
        if head.lstrip().startswith(beginning):
            return what
    if head.startswith(_ZIP) and not zipfile.is_zipfile(model_file):
        return "is cut off or damaged: get it anew"
    if not head.startswith((_ZIP, _PICKLE)) and _TAR not in head:
        return "is no checkpoint: torch.save writes other files"
    return None


def _why_not_loaded(model_file: Path, error: Exception) -> str:
    """What to say of a file that ``torch.load`` has refused."""
    forbidden = re.search(r"GLOBAL (\S+)", str(error))
    if forbidden:
        return (
            "is refused, it holds more than weights (a pickle that would run code when "
            f"loaded: {forbidden[1]}): ask its maker for torch.save(model.state_dict())"
        )
    if "weights_only" in str(error):
        return "is damaged or holds more than weights: get it anew, as a state dict"
    return f"cannot be read as plain weights: {one_line(error) or 'damaged'}"


def _models_beside(model_file: Path) -> str:
    others = (path.name for path in sorted(model_file.parent.glob("*.pth")))
    named = [name for name in others if name not in (model_file.name, "checkpoint.pth")]
    return first_of(named) if named else "e.g. valid.loss.ave.pth of a finished epoch"


def _contents(state: Any) -> str:
    if not isinstance(state, dict):
        return f"a {type(state).__name__}"
    return f"the keys {first_of(map(str, state))}" if state else "nothing"


def _trainers_values_allowed():
    """Let numbers and times be read that ESPnet's trainer puts into its resume file."""
    if not hasattr(torch.serialization, "safe_globals"):  # before torch 2.5
        return contextlib.nullcontext()
    scalar = np.float64(0).__reduce__()[0]
    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    types = [type(np.dtype(kind)) for kind in kinds]
    return torch.serialization.safe_globals(
        [scalar, np.dtype, *types, datetime.timedelta]
    )
