"""Stage 10: shapes of every utterance and the mean and variance of the features."""

import os
import shutil
from pathlib import Path
from typing import List

from espnet_blankskip.kaldi.lists import (
    count_lines,
    read_rows,
    split_rows,
    write_rows,
)
from espnet_blankskip.recipe.backends.local import run_here
from espnet_blankskip.recipe.jobs import JobArray, run_jobs
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.resuming import (
    check_each_once,
    keep_finished_parts,
    lists_the_same,
    missing_parts,
)
from espnet_blankskip.recipe.statistics_facts import statistics_facts
from espnet_blankskip.recipe.transcript_checks import tell_too_long_transcripts
from espnet_blankskip.terminal import ProgressBar, log

PARTS = ("train", "valid")


def collect_statistics(run: RecipeRun) -> None:
    """Run asr_train --collect_stats on parts of the data and add up the results."""
    options, layout = run.options, run.layout
    folders = dict(zip(PARTS, map(layout.dump, (layout.train_set, layout.valid_set))))
    run.need_sets(10, folders.values(), "stages 1-4")
    run.need(10, [layout.token_list], "stage 5")
    stats, logdir = layout.asr_stats, layout.asr_stats / "logdir"
    marker = stats / ".stage10.done"
    facts = statistics_facts(run)
    if run.is_done(10, marker, facts, stats, replaced_whole=True):
        return
    log(
        f"Stage 10: ASR collect stats: train_set={folders['train']}, "
        f"valid_set={folders['valid']}, log: {logdir}/stats.*.log"
    )
    lists = {part: folders[part] / "wav.scp" for part in PARTS}
    counts = {part: count_lines(lists[part]) for part in PARTS}
    backend, logs = options.backends["train_cmd"], logdir / "stats.JOB.log"
    nj = run.sensible_jobs(10, "nj", backend, min(counts.values()))
    backend.stop_leftovers(logs)
    started = logdir / ".stage10.started"
    keep_finished_parts(10, started, {**facts, "nj": nj})
    keys = {n: {p: logdir / f"{p}.{n}.scp" for p in PARTS} for n in range(1, nj + 1)}
    for part in PARTS:
        split_rows(lists[part], [keys[n][part] for n in keys])
    outputs = {n: logdir / f"stats.{n}" for n in keys}
    jobs = JobArray("stage 10: asr_train --collect_stats", {}, logs, threads=1)

    def complete(n: int) -> bool:
        return jobs.exit_status(n) == 0 and all(
            lists_the_same(outputs[n] / part / "speech_shape", keys[n][part])
            for part in PARTS
        )

    for n in missing_parts(10, outputs, complete):
        jobs.commands[n] = collect_command(run, folders, keys[n], outputs[n])
    shapes = [out / part / "speech_shape" for out in outputs.values() for part in PARTS]
    with ProgressBar("stage 10: statistics", sum(counts.values()), unit="utt") as bar:

        def watch() -> None:
            bar.n = sum(map(count_lines, shapes))
            bar.tick()

        if jobs.commands:
            run_jobs(jobs, backend, watch, complete)
        watch()
        bar.refresh()
    aggregate(run, list(outputs.values()), marker)
    for part in PARTS:
        check_each_once("stage 10", stats / part / "speech_shape", lists[part])
        tell_too_long_transcripts(stats / part, options.token_type, options.asr_config)
    started.unlink()
    run.mark_done(marker, facts)


def collect_command(run: RecipeRun, folders, keys, output: Path) -> List[str]:
    """The command that collects the statistics of one part of both sets."""
    data = []
    for part in PARTS:
        for name, kind in (("wav.scp", "speech,sound"), ("text", "text,text")):
            data += [f"--{part}_data_path_and_name_and_type"]
            data += [f"{folders[part] / name},{kind}"]
    return run.module(
        "espnet2.bin.asr_train",
        *("--collect_stats", "true", *run.token_arguments(), *data),
        *("--train_shape_file", keys["train"], "--valid_shape_file", keys["valid"]),
        *("--output_dir", output),
        *run.model_arguments(),
    )


def aggregate(run: RecipeRun, outputs, marker: Path) -> None:
    """Add up the parts, and put the result in place when it is complete."""
    layout = run.layout
    partial = layout.asr_stats / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    arguments = [word for out in outputs for word in ("--input_dir", out)]
    command = run.module(
        "espnet2.bin.aggregate_stats_dirs", *arguments, "--output_dir", partial
    )
    log_file = layout.asr_stats / "logdir" / "aggregate.log"
    run_here("stage 10: aggregate_stats_dirs", command, log_file)
    vocabulary = count_lines(layout.token_list)
    marker.unlink(missing_ok=True)
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
