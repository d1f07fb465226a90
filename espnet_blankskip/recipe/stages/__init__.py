"""The stages of run.sh, with the numbers of ESPnet's asr.sh."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Dict, List

from espnet_blankskip.locks import locked
from espnet_blankskip.recipe.layout import DATA
from espnet_blankskip.recipe.option_list import FIRST_STAGE, LAST_STAGE
from espnet_blankskip.recipe.preflight import check_stages
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.stages.audio import (
    filter_utterances,
    format_audio,
    perturb_speed,
)
from espnet_blankskip.recipe.stages.decoding_jobs import decode
from espnet_blankskip.recipe.stages.preparation import prepare_data
from espnet_blankskip.recipe.stages.results import pack, score
from espnet_blankskip.recipe.stages.statistics import collect_statistics
from espnet_blankskip.recipe.stages.tokens import make_token_list
from espnet_blankskip.recipe.stages.training import train
from espnet_blankskip.terminal import log

STAGES: Dict[int, Callable[[RecipeRun], None]] = {
    1: prepare_data,
    2: perturb_speed,
    3: format_audio,
    4: filter_utterances,
    5: make_token_list,
    10: collect_statistics,
    11: train,
    12: decode,
    13: score,
    14: pack,
}
WITHOUT_LM = "skipped (--use_lm false, --use_ngram false)"


def why_skipped(number: int, options: argparse.Namespace) -> str:
    """The option that leaves a stage out; empty if it is to run."""
    if str(number) in options.skip_stages:
        return f"skipped (--skip_stages {number})"
    if number <= 5 and options.skip_data_prep:
        return "skipped (--skip_data_prep true)"
    if 6 <= number <= 11 and options.skip_train:
        return "skipped (--skip_train true)"
    if 12 <= number <= 13 and options.skip_eval:
        return "skipped (--skip_eval true)"
    # Asking for stage 14 by number is as good as --skip_packing false.
    if number == 14 and options.skip_packing and options.stage < 14:
        return "skipped (--skip_packing true)"
    if number == 2 and not options.speed_perturb_factors:
        return "skipped (no --speed_perturb_factors)"
    return "" if number in STAGES else WITHOUT_LM


def outputs(number: int, run: RecipeRun) -> List[Path]:
    """What a stage writes to, which one call at a time may do."""
    layout = run.layout
    results = [layout.results(d, s) for d in layout.decodings for s in layout.test_sets]
    return {
        **{1: [DATA], 2: [DATA], 3: [layout.feats], 4: [layout.feats]},
        **{5: [layout.token_dir], 10: [layout.asr_stats], 11: [layout.asr_exp]},
        **{12: results, 13: [*results, layout.asr_exp / "RESULTS.md"]},
        14: [layout.packed],
    }[number]


def run_stages(options: argparse.Namespace) -> None:
    """Run the stages the options ask for.

    Raises:
        StageError: A stage cannot go on.
        InUse: Another call is at the same experiment or data.
    """
    run = RecipeRun(options)
    last = min(options.stop_stage, LAST_STAGE)
    numbers = range(max(options.stage, FIRST_STAGE), last + 1)
    check_stages(run, [n for n in numbers if not why_skipped(n, options)])
    for number in numbers:
        reason = why_skipped(number, options)
        if reason:
            log(f"Stage {number}: {reason}")
            continue
        run.need_space(number)
        with ExitStack() as locks:
            for path in outputs(number, run):
                locks.enter_context(locked(path, f"run.sh stage {number}"))
            STAGES[number](run)
