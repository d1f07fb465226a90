"""Stages 13 and 14: error rates, the table, and the packed model."""

import os
from typing import Dict

from espnet_blankskip.children import run_program
from espnet_blankskip.evaluation.results_file import set_title
from espnet_blankskip.kaldi.lists import count_lines
from espnet_blankskip.kaldi.utterances import DROPPED
from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.recipe.backends.local import run_here
from espnet_blankskip.recipe.decoder_choice import OWN_DECODER, decoder_module
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.layout import Decoding
from espnet_blankskip.recipe.markers import content, identity
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.stages.training import missing_model
from espnet_blankskip.terminal import log


def score(run: RecipeRun) -> None:
    """Stage 13: word and character error rates, then RESULTS.md."""
    layout = run.layout
    pairs = [(d, name) for d in layout.decodings for name in layout.test_sets]
    run.need_sets(13, [layout.dump(name) for name in layout.test_sets], "stages 1-4")
    run.need(13, [layout.results(d, name) / "text" for d, name in pairs], "stage 12")
    scores = [score_set(run, decoding, test_set) for decoding, test_set in pairs]
    if any(decoder_module(run, d) == OWN_DECODER for d in layout.decodings):
        report(run)
    else:
        write_table(run, pairs, scores)


def score_set(run: RecipeRun, decoding: Decoding, test_set: str) -> Dict[str, dict]:
    """Score one result folder; nothing is run, so it is not worth reusing."""
    from espnet_blankskip.evaluation.scoring import score_folder

    layout = run.layout
    folder = layout.results(decoding, test_set)
    try:
        scores = score_folder(layout.dump(test_set) / "text", folder / "text", folder)
    except ValueError as error:
        raise StageError(f"stage 13: {error}") from None
    wer, cer = scores["wer"], scores["cer"]
    log(
        f"Stage 13: {folder}: WER {wer['percent']:.2f} %, CER {cer['percent']:.2f} % "
        f"({wer['reference_length']} words, {wer['utterances']} utterances)"
    )
    return scores


def write_table(run: RecipeRun, pairs, scores) -> None:
    """RESULTS.md of a model without gates, which has nothing to skip."""
    rows = ["| decoding | test set | WER % | CER % |", "|---|---|---|---|"]
    for (decoding, test_set), score in zip(pairs, scores):
        percents = f"{score['wer']['percent']:.2f} | {score['cer']['percent']:.2f}"
        rows.append(f"| {decoding.tag} | {test_set} | {percents} |")
    table = "\n".join(rows) + "\n"
    for test_set in run.layout.test_sets:
        folder = run.layout.dump(test_set)
        dropped = count_lines(folder / DROPPED)
        without = f", without {dropped} that were left out" if dropped else ""
        table += f"\n- data: {set_title(test_set, folder)}{without}"
    table += "\n"
    write_whole(
        run.layout.asr_exp / "RESULTS.md",
        f"# Results of {run.layout.asr_exp.name}\n\n{table}",
    )
    print(table)


def report(run: RecipeRun) -> None:
    """RESULTS.md and the pictures of a model with gates, for each test set."""
    layout = run.layout
    decodings = [layout.asr_exp / decoding.tag for decoding in layout.decodings]
    own = [d for d in layout.decodings if decoder_module(run, d) == OWN_DECODER]
    for test_set in layout.test_sets:
        marker = layout.asr_exp / f".report.{test_set}.done"
        facts = {
            **run.set_facts(layout.dump(test_set)),
            "model": identity(layout.model),
            "hypotheses": [content(path / test_set / "text") for path in decodings],
        }
        results = layout.asr_exp / "RESULTS.md"
        if results.is_file() and run.is_done(13, marker, facts, results):
            print(results.read_text(encoding="utf-8"))
            continue
        command = run.module(
            "espnet_blankskip.evaluation.report",
            *("--asr_exp", layout.asr_exp, "--test_set", test_set),
            *("--asr_model_file", layout.model.name, "--dumpdir", run.options.dumpdir),
            *("--inference_configs", *(d.config for d in own if d.config)),
        )
        code = run_program(command).returncode
        if code != 0:
            raise StageError(f"stage 13: the report ended with exit code {code}")
        run.mark_done(marker, facts)


def pack(run: RecipeRun) -> None:
    """Stage 14: one zip file with the model and what it needs."""
    options, layout = run.options, run.layout
    exp = layout.asr_exp
    run.need(14, [exp / "config.yaml"], "stages 1-11")
    if not layout.model.is_file():
        raise StageError(missing_model(14, layout.model))
    marker = exp / ".stage14.done"
    facts = {
        "model": identity(layout.model),
        "config": content(exp / "config.yaml"),
        "results": content(exp / "RESULTS.md"),
    }
    if layout.packed.is_file() and run.is_done(14, marker, facts, layout.packed):
        return
    log(f"Stage 14: Pack model: {layout.packed}")
    extra = [exp / "RESULTS.md", exp / "images"]
    if options.feats_normalize == "global_mvn":
        extra.append(layout.asr_stats / "train" / "feats_stats.npz")
    if layout.bpe_model is not None:
        extra.append(layout.bpe_model)
    chosen = [word for path in extra if path.exists() for word in ("--option", path)]
    partial = exp / f"partial_{layout.packed.name}"
    command = run.module(
        "espnet2.bin.pack",
        "asr",
        *("--asr_train_config", exp / "config.yaml"),
        *("--asr_model_file", layout.model),
        *chosen,
        *("--outpath", partial),
    )
    try:
        run_here("stage 14: pack", command, exp / "pack.log")
        os.replace(partial, layout.packed)
    finally:
        partial.unlink(missing_ok=True)
    run.mark_done(marker, facts)
