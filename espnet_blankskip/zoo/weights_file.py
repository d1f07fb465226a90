"""Which of an experiment's files holds the weights to decode with."""

import re
from pathlib import Path
from typing import Any, Dict, List, Optional

from espnet_blankskip.zoo.errors import CheckpointError

SUFFIXES = (".pth", ".pt", ".ckpt")


def choose_weights(folder: Path, config: Dict[str, Any], source: str) -> Path:
    """The weights that the recipes of ESPnet2 and ESPnet3 would decode with.

    The average of the best epochs by the config's ``best_model_criterion``, else the
    best epoch, else the only .pth file, else the last epoch, else what Lightning kept
    last.

    Raises:
        CheckpointError: there are none.
    """
    for pattern in ("{}.ave.pth", "{}.ave_*best.pth", "{}.best.pth"):
        for stem in _criteria(config):
            found = sorted(folder.glob(pattern.format(stem)), key=_number)
            if found:
                return found[-1]
    models = [p for p in folder.glob("*.pth") if p.name != "checkpoint.pth"]
    if len(models) == 1:
        return models[0]
    epochs = [p for p in models if re.fullmatch(r"\d+epoch", p.stem)]
    if epochs:
        return max(epochs, key=_number)
    if models:
        names = ", ".join(sorted(p.name for p in models))
        raise CheckpointError(f"{source}: name one of its model files: {names}")
    last = _last_of_lightning(folder)
    if last is None:
        raise CheckpointError(
            f"{source}: no model file (*.pth, or *.ckpt of ESPnet3) beside config.yaml"
        )
    return last


def plain_name(model_file: Path) -> str:
    """The name of a file with a checkpoint's weights alone: Lightning's end in .pth."""
    stem = (
        model_file.with_suffix(".pth") if model_file.suffix == ".ckpt" else model_file
    )
    return stem.name


def _criteria(config: Dict[str, Any]) -> List[str]:
    """Stems of file names: [valid, loss, min] and ESPnet3's [valid/loss, 3, min]."""
    stems = []
    for criterion in config.get("best_model_criterion") or []:
        if isinstance(criterion, list) and len(criterion) > 1:
            name = str(criterion[0])
            parts = [name] if "/" in name else [name, str(criterion[1])]
            stems.append(".".join(parts).replace("/", "."))
    return stems


def _last_of_lightning(folder: Path) -> Optional[Path]:
    checkpoints = sorted(folder.glob("*.ckpt"), key=_number)
    last = folder / "last.ckpt"
    return last if last in checkpoints else next(reversed(checkpoints), None)


def _number(path: Path) -> int:
    """The last number in a file's name, such as 10 of ``valid.loss.ave_10best``."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else -1
