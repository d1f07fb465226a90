"""What the stages of a call need beside ESPnet, found missing before the first of them.

Scoring is jiwer's, so that sclite is not needed outside of an ESPnet tree.
"""

import argparse
import importlib.util
from typing import Dict, Iterable, Tuple

import yaml

from espnet_blankskip.recipe.failed_stage import StageError

#: Packages that a stage imports.
PACKAGES: Dict[int, Tuple[str, ...]] = {
    11: ("tensorboard",),
    13: ("jiwer", "matplotlib"),
}


def check_packages(options: argparse.Namespace, stages: Iterable[int]) -> None:
    """Refuse to begin when a later stage would end for want of a package.

    Args:
        options: Parsed options.
        stages: Numbers of the stages that will run.

    Raises:
        StageError: Names the stage, the package and how to install it.
    """
    for number in stages:
        for package in PACKAGES.get(number, ()):
            if package == "tensorboard" and not uses_tensorboard(options):
                continue
            if importlib.util.find_spec(package) is None:
                raise StageError(
                    f"stage {number} needs the Python package {package}: "
                    "pip install 'espnet_blankskip[recipe]'"
                )


def uses_tensorboard(options: argparse.Namespace) -> bool:
    """Whether training writes tensorboard's files, which ESPnet does by default."""
    words = " ".join(options.asr_args).replace("=", " ").split()
    if "--use_tensorboard" in words[:-1]:
        place = len(words) - 1 - words[::-1].index("--use_tensorboard")
        return words[place + 1].lower() not in ("false", "0", "no")
    if options.asr_config is None:
        return True
    config = yaml.safe_load(options.asr_config.read_text(encoding="utf-8"))
    return config.get("use_tensorboard", True)
