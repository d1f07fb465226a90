"""What would end a later stage, found before the first one.

Scoring is jiwer's, so that sclite is not needed outside of an ESPnet tree.
"""

import argparse
import importlib.util
import subprocess
from pathlib import Path
from typing import Collection, Dict, Tuple

import yaml

from espnet_blankskip.children import run_program
from espnet_blankskip.decoding.decode_config import read_decode_config
from espnet_blankskip.recipe.backends.local import Local
from espnet_blankskip.recipe.decoder_choice import (
    OWN_DECODER,
    decoder_module,
    gate_options_of,
)
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.terminal import log

SCRIPT = Path("local/data.sh")
#: Packages that a stage imports.
PACKAGES: Dict[int, Tuple[str, ...]] = {
    11: ("tensorboard",),
    13: ("jiwer", "matplotlib"),
}


def check_stages(run: RecipeRun, stages: Collection[int]) -> None:
    """Refuse to begin when a later stage would end for want of something.

    Args:
        run: The call.
        stages: Numbers of the stages that will run.

    Raises:
        StageError: Names the stage or the option, and the remedy.
    """
    check_packages(run.options, stages)
    if 1 in stages and not SCRIPT.is_file():
        raise StageError(f"stage 1: {SCRIPT} is missing: call run.sh in its own folder")
    if 12 in stages:
        check_decode_configs(run)
    backend = run.options.backends["cuda_cmd"]
    if isinstance(backend, Local):
        if 11 in stages:
            need_gpus(f"stage 11: --ngpu {run.options.ngpu}", run.options.ngpu)
        if 12 in stages and run.options.gpu_inference:
            need_gpus("stage 12: --gpu_inference true", 1)
    # ESPnet itself finds out at once where the training is what comes first.
    if {10, 11}.intersection(stages) and min(stages) < 10:
        check_training_options(run)


def check_decode_configs(run: RecipeRun) -> None:
    """Refuse decode configurations of ours with options that there are not."""
    for decoding in run.layout.decodings:
        if decoder_module(run, decoding) != OWN_DECODER:
            continue
        try:
            if decoding.config:
                read_decode_config(decoding.config)
        except ValueError as error:
            raise StageError(f"--inference_config {error}") from None
        given = gate_options_of(run, decoding)
        if given and "mode" not in given:
            log(
                f"Stage 12: {decoding.config or '--inference_args'}: "
                f"{', '.join(given)} and no mode: {OWN_DECODER} with mode: skipping"
            )


def need_gpus(what: str, count: int) -> None:
    """Refuse more GPUs than there are."""
    if count > 0:
        import torch

        found = torch.cuda.device_count()
        if found < count:
            raise StageError(f"{what}, but {found} GPU(s) were found")


def check_training_options(run: RecipeRun) -> None:
    """Refuse options of the training that ESPnet does not know."""
    command = run.module(
        "espnet_blankskip.recipe.training_options", *run.model_arguments()
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        done = run_program(command, text=True, **quiet)
    except OSError as error:
        raise StageError(f"--python {command[0]}: {error.strerror}") from None
    lines = done.stderr.strip().splitlines()
    if done.returncode == 2 and lines:
        raise StageError(
            f"--asr_config {run.options.asr_config}, --asr_args: {lines[-1]}"
        )


def check_packages(options: argparse.Namespace, stages: Collection[int]) -> None:
    """Refuse to begin when a later stage would end for want of a package."""
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
