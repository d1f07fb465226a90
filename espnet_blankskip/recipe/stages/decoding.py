"""Stage 12: hypotheses of every test set, for every decode configuration."""

import shutil
from pathlib import Path
from typing import List

from espnet_blankskip.recipe.jobs import Followed, Job, run_jobs
from espnet_blankskip.recipe.layout import Decoding
from espnet_blankskip.recipe.markers import content, identity
from espnet_blankskip.recipe.real_time_factor import write_real_time_factor
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.stages.training import missing_model
from espnet_blankskip.recipe.tables import (
    count_lines,
    read_rows,
    split_rows,
    write_rows,
)
from espnet_blankskip.recipe.terminal import ProgressBar, StageError, log

OWN_DECODER = "espnet_blankskip.bin.asr_decode"
ESPNET_DECODER = "espnet2.bin.asr_inference"
MARKER = ".stage12.done"


def decode(run: RecipeRun) -> None:
    """Decode all test sets with all configurations, one pair after another."""
    layout = run.layout
    run.need_sets(12, [layout.dump(name) for name in layout.test_sets], "stages 1-4")
    run.need(12, [layout.asr_exp / "config.yaml"], "stages 1-11")
    if not layout.model.is_file():
        raise StageError(missing_model(12, layout.model))
    for decoding in layout.decodings:
        for test_set in layout.test_sets:
            decode_set(run, decoding, test_set)


def decode_set(run: RecipeRun, decoding: Decoding, test_set: str) -> None:
    """Decode one test set."""
    options, layout = run.options, run.layout
    folder, data = layout.results(decoding, test_set), layout.dump(test_set)
    decoder = decoder_module(run, decoding)
    facts = {
        **run.set_facts(data),
        "model": identity(layout.model),
        "model_config": content(layout.asr_exp / "config.yaml"),
        "config": content(decoding.config),
        "inference_args": options.inference_args,
        "decoder": decoder,
        "batch_size": options.batch_size,
        "gpu_inference": options.gpu_inference,
    }
    if run.is_done(12, folder / MARKER, facts, folder):
        return
    logdir = folder / "logdir"
    log(f"Stage 12: Decoding with {decoder}: log: {logdir}/asr_inference.*.log")
    shutil.rmtree(folder, ignore_errors=True)
    utterances = count_lines(data / "wav.scp")
    numbers = range(1, min(options.inference_nj, utterances) + 1)
    keys = [logdir / f"keys.{n}.scp" for n in numbers]
    split_rows(data / "wav.scp", keys)
    config = ["--config", str(decoding.config)] if decoding.config else []
    jobs = []
    for n, key_file in zip(numbers, keys):
        command = run.module(
            decoder,
            *("--batch_size", options.batch_size),
            *("--ngpu", int(options.gpu_inference)),
            *("--data_path_and_name_and_type", f"{data / 'wav.scp'},speech,sound"),
            *("--key_file", key_file),
            *("--asr_train_config", layout.asr_exp / "config.yaml"),
            *("--asr_model_file", layout.model),
            *("--output_dir", logdir / f"output.{n}"),
            *(*config, *options.inference_args),
        )
        jobs.append(Job(command, logdir / f"asr_inference.{n}.log"))
    logs = [Followed(job.log) for job in jobs]
    name = f"stage 12: {decoding.config.stem if decoding.config else 'decoding'}"
    with ProgressBar(f"{name} {test_set}", utterances, unit="utt") as bar:

        def watch() -> None:
            lines = [line for file in logs for line in file.new_lines()]
            bar.update(sum("best hypo: " in line for line in lines))
            bar.tick()

        # One thread each: more only fight for the cores the other jobs are on.
        run_jobs(f"stage 12: {decoder}", jobs, len(jobs), 1, watch)
        watch()
    merge(folder, [logdir / f"output.{n}" / "1best_recog" for n in numbers])
    found = count_lines(folder / "text")
    if found == 0:
        raise StageError(f"stage 12: no hypothesis at all; see {jobs[0].log}")
    # Our decoder lists what it could not use; ESPnet's leaves it out.
    failed = utterances - found + count_lines(folder / "failed")
    if failed:
        log(f"Stage 12: {failed} of {utterances} utterances failed: see {folder}")
    speed = write_real_time_factor(logdir, options.fs)
    rtf = f", RTF {speed['rtf']:.4f}" if speed else ""
    log(f"Stage 12: {folder}: {found} hypotheses{rtf}")
    run.mark_done(folder / MARKER, facts)


def decoder_module(run: RecipeRun, decoding: Decoding) -> str:
    """The decoder for a configuration: ``mode`` is an option of ours alone."""
    if run.options.inference_bin != "auto":
        return run.options.inference_bin
    if decoding.config is None:
        return ESPNET_DECODER
    import yaml

    options = yaml.safe_load(decoding.config.read_text(encoding="utf-8"))
    return OWN_DECODER if "mode" in options else ESPNET_DECODER


def merge(folder: Path, parts: List[Path]) -> None:
    """Put the lists of all jobs together, sorted by utterance."""
    names = sorted({file.name for part in parts for file in part.glob("*")})
    for name in names:
        rows = []
        for part in parts:
            if (part / name).is_file():
                rows += read_rows(part / name)
        if rows:
            write_rows(folder / name, rows)
