"""Stage 10: shapes of every utterance and the mean and variance of the features."""

import os
import shutil
from pathlib import Path

from espnet_blankskip.recipe.jobs import Job, run_jobs
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.tables import (
    count_lines,
    read_rows,
    split_rows,
    write_rows,
)
from espnet_blankskip.recipe.terminal import ProgressBar, log
from espnet_blankskip.recipe.transcripts import tell_too_long_transcripts

PARTS = ("train", "valid")


def collect_statistics(run: RecipeRun) -> None:
    """Run asr_train --collect_stats on parts of the data and add up the results."""
    options, layout = run.options, run.layout
    folders = dict(zip(PARTS, map(layout.dump, (layout.train_set, layout.valid_set))))
    run.need_sets(10, folders.values(), "stages 1-4")
    run.need(10, [layout.token_list], "stage 5")
    stats, logdir = layout.asr_stats, layout.asr_stats / "logdir"
    marker = stats / ".stage10.done"
    facts = run.model_facts()
    if run.is_done(10, marker, facts, stats):
        return
    log(
        f"Stage 10: ASR collect stats: train_set={folders['train']}, "
        f"valid_set={folders['valid']}, log: {logdir}/stats.*.log"
    )
    shutil.rmtree(logdir, ignore_errors=True)
    counts = {part: count_lines(folders[part] / "wav.scp") for part in PARTS}
    nj = min(options.nj, *counts.values())
    for part in PARTS:
        split_rows(
            folders[part] / "wav.scp",
            [logdir / f"{part}.{n}.scp" for n in range(1, nj + 1)],
        )
    data = []
    for part in PARTS:
        data += [f"--{part}_data_path_and_name_and_type"]
        data += [f"{folders[part] / 'wav.scp'},speech,sound"]
        data += [f"--{part}_data_path_and_name_and_type"]
        data += [f"{folders[part] / 'text'},text,text"]
    jobs, outputs = [], []
    for n in range(1, nj + 1):
        outputs.append(logdir / f"stats.{n}")
        command = run.module(
            "espnet2.bin.asr_train",
            *("--collect_stats", "true", *run.token_arguments(), *data),
            *("--train_shape_file", logdir / f"train.{n}.scp"),
            *("--valid_shape_file", logdir / f"valid.{n}.scp"),
            *("--output_dir", outputs[-1]),
            *run.model_arguments(),
        )
        jobs.append(Job(command, logdir / f"stats.{n}.log"))
    shapes = [out / part / "speech_shape" for out in outputs for part in PARTS]
    with ProgressBar("stage 10: statistics", sum(counts.values()), unit="utt") as bar:

        def watch() -> None:
            bar.n = sum(map(count_lines, shapes))
            bar.tick()

        run_jobs("stage 10: asr_train --collect_stats", jobs, nj, 1, watch)
        watch()
        bar.refresh()
    aggregate(run, outputs)
    for part in PARTS:
        tell_too_long_transcripts(stats / part, options.token_type, options.asr_config)
    run.mark_done(marker, facts)


def aggregate(run: RecipeRun, outputs) -> None:
    """Add up the parts, and put the result in place when it is complete."""
    layout = run.layout
    partial = layout.asr_stats / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    arguments = [word for out in outputs for word in ("--input_dir", out)]
    command = run.module(
        "espnet2.bin.aggregate_stats_dirs", *arguments, "--output_dir", partial
    )
    job = Job(command, layout.asr_stats / "logdir" / "aggregate.log")
    run_jobs("stage 10: aggregate_stats_dirs", [job], at_once=1)
    vocabulary = count_lines(layout.token_list)
    for part in PARTS:
        add_vocabulary(partial / part, run.options.token_type, vocabulary)
        shutil.rmtree(layout.asr_stats / part, ignore_errors=True)
        os.replace(partial / part, layout.asr_stats / part)
    partial.rmdir()


def add_vocabulary(folder: Path, token_type: str, vocabulary: int) -> None:
    """Put the vocabulary size behind text lengths; ESPnet sizes batches by it."""
    rows = read_rows(folder / "text_shape")
    rows = [(utt_id, f"{shape},{vocabulary}") for utt_id, shape in rows]
    write_rows(folder / f"text_shape.{token_type}", rows)
