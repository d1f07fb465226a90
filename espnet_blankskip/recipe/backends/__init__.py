"""Where jobs run: the commands that cmd.sh exports, as far as pip can serve them."""

import shlex
from typing import Dict, Mapping

from espnet_blankskip.recipe.backends.command_line import CommandLine, read_command_line
from espnet_blankskip.recipe.backends.local import Local
from espnet_blankskip.recipe.backends.slurm import Slurm
from espnet_blankskip.recipe.jobs import Backend
from espnet_blankskip.recipe.option_list import OptionError

#: Statistics; training (and decoding with --gpu_inference true); decoding.
VARIABLES = ("train_cmd", "cuda_cmd", "decode_cmd")


def choose_backends(environment: Mapping[str, str]) -> Dict[str, Backend]:
    """Return the back end of each variable of cmd.sh.

    Args:
        environment: Where cmd.sh exported them; run.pl is the default.

    Raises:
        OptionError: A command is not understood or cannot run here.
    """
    return {
        name: choose_backend(name, environment.get(name) or "run.pl")
        for name in VARIABLES
    }


def choose_backend(variable: str, value: str) -> Backend:
    """Return the back end of a command such as ``slurm.pl --mem 4G``."""
    try:
        command: CommandLine = read_command_line(shlex.split(value))
        if command.program == "run.pl":
            return Local(command.max_jobs_run)
        if command.program == "slurm.pl":
            return Slurm(command)
    except ValueError as error:
        raise OptionError(f"{variable}='{value}' (cmd.sh): {error}") from None
    raise OptionError(
        f"{variable}='{value}' (cmd.sh): without an ESPnet tree jobs run by run.pl or "
        "slurm.pl; egs2_recipe/install.sh puts the recipe into a tree, which has more"
    )
