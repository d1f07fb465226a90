"""Which program decodes with a configuration."""

import yaml

from espnet_blankskip.recipe.layout import Decoding
from espnet_blankskip.recipe.recipe_run import RecipeRun

OWN_DECODER = "espnet_blankskip.bin.asr_decode"
ESPNET_DECODER = "espnet2.bin.asr_inference"


def decoder_module(run: RecipeRun, decoding: Decoding) -> str:
    """The decoder for a configuration: ``mode`` is an option of ours alone."""
    if run.options.inference_bin != "auto":
        return run.options.inference_bin
    if decoding.config is None:
        return ESPNET_DECODER
    options = yaml.safe_load(decoding.config.read_text(encoding="utf-8"))
    return OWN_DECODER if "mode" in options else ESPNET_DECODER
