"""Which program decodes with a configuration."""

from typing import List

import yaml

from espnet_blankskip.gate_options import gate_options_in
from espnet_blankskip.recipe.layout import Decoding
from espnet_blankskip.recipe.recipe_run import RecipeRun

OWN_DECODER = "espnet_blankskip.bin.asr_decode"
ESPNET_DECODER = "espnet2.bin.asr_inference"


def decoder_module(run: RecipeRun, decoding: Decoding) -> str:
    """The decoder for a configuration: options of the gates are of ours alone."""
    if run.options.inference_bin != "auto":
        return run.options.inference_bin
    return OWN_DECODER if gate_options_of(run, decoding) else ESPNET_DECODER


def gate_options_of(run: RecipeRun, decoding: Decoding) -> List[str]:
    """Names of the gate options in a configuration and in ``--inference_args``."""
    options = {}
    if decoding.config is not None:
        options = yaml.safe_load(decoding.config.read_text(encoding="utf-8"))
    return gate_options_in(options, run.options.inference_args)
