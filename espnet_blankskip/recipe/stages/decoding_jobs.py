"""Stage 12: hypotheses of every test set, for every decode configuration."""

import os
import shutil
from pathlib import Path
from typing import List

from espnet_blankskip.evaluation.real_time_factor import write_real_time_factor
from espnet_blankskip.kaldi.lists import (
    count_lines,
    read_rows,
    split_rows,
    write_rows,
)
from espnet_blankskip.recipe.decoder_choice import OWN_DECODER, decoder_module
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import Backend, Followed, JobArray, run_jobs
from espnet_blankskip.recipe.layout import Decoding
from espnet_blankskip.recipe.markers import content, identity
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.resuming import (
    check_each_once,
    keep_finished_parts,
    lists_the_same,
    missing_parts,
)
from espnet_blankskip.recipe.stages.training import missing_model
from espnet_blankskip.terminal import ProgressBar, log

MARKER, STARTED = ".stage12.done", ".stage12.started"
LOG = "asr_inference.JOB.log"


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
    """Decode one test set; what an earlier call made stays until all is there."""
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
    if run.is_done(12, folder / MARKER, facts, folder, replaced_whole=True):
        return
    logdir = folder / "logdir"
    log(f"Stage 12: Decoding with {decoder}: log: {logdir}/asr_inference.*.log")
    utterances = count_lines(data / "wav.scp")
    backend = options.backends["cuda_cmd" if options.gpu_inference else "decode_cmd"]
    nj = run.sensible_jobs(12, "inference_nj", backend, utterances)
    backend.stop_leftovers(logdir / LOG)
    started = logdir / STARTED
    keep_finished_parts(12, started, {**facts, "inference_nj": nj})
    parts = decode_parts(run, decoding, test_set, backend, nj)
    merged = logdir / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    merge(merged, [part / "1best_recog" for part in parts])
    check_each_once("stage 12", merged / "text", data / "wav.scp")
    failed = count_lines(merged / "failed")
    if failed == utterances:
        # Another call begins anew, perhaps with the audio put right.
        started.unlink()
        raise StageError(f"stage 12: no utterance was usable; see {merged / 'failed'}")
    if failed:
        log(f"Stage 12: {failed} of {utterances} utterances failed: see {folder}")
    replace_results(folder, merged)
    speed = write_real_time_factor(logdir, options.fs)
    rtf = f", RTF {speed['rtf']:.4f}" if speed else ""
    log(f"Stage 12: {folder}: {utterances} hypotheses{rtf}")
    run.mark_done(folder / MARKER, facts)
    started.unlink()


def replace_results(folder: Path, merged: Path) -> None:
    """Put new lists in the place of all that came from old ones, such as scores."""
    (folder / MARKER).unlink(missing_ok=True)
    for old in folder.iterdir():
        if old.is_dir() and old != merged.parent:
            shutil.rmtree(old)
        elif not old.is_dir():
            old.unlink()
    for new in merged.iterdir():
        os.replace(new, folder / new.name)
    merged.rmdir()


def decode_parts(
    run: RecipeRun, decoding: Decoding, test_set: str, backend: Backend, nj: int
) -> List[Path]:
    """Decode those of the ``nj`` parts of a test set that are not there yet.

    Returns:
        Output folder of each part, all of them whole.
    """
    wav_scp = run.layout.dump(test_set) / "wav.scp"
    logdir = run.layout.results(decoding, test_set) / "logdir"
    decoder = decoder_module(run, decoding)
    keys = {n: logdir / f"keys.{n}.scp" for n in range(1, nj + 1)}
    split_rows(wav_scp, list(keys.values()))
    outputs = {n: logdir / f"output.{n}" for n in keys}
    # One thread each: more only fight for the cores the other jobs are on.
    gpus = int(run.options.gpu_inference)
    jobs = JobArray(f"stage 12: {decoder}", {}, logdir / LOG, threads=1, gpus=gpus)

    def complete(n: int) -> bool:
        best = outputs[n] / "1best_recog"
        # Ours writes it last and at once, also where no audio of a part was usable.
        ended = best.is_dir() if decoder == OWN_DECODER else jobs.exit_status(n) == 0
        return ended and lists_the_same(best / "text", keys[n])

    for n in missing_parts(12, outputs, complete):
        jobs.commands[n] = decoder_command(run, decoding, wav_scp, keys[n], outputs[n])
    name = f"stage 12: {decoding.config.stem if decoding.config else 'decoding'}"
    with ProgressBar(f"{name} {test_set}", count_lines(wav_scp), unit="utt") as bar:
        logs = [Followed(jobs.log_of(n)) for n in keys]

        def watch() -> None:
            lines = [line for file in logs for line in file.new_lines()]
            bar.update(sum("best hypo: " in line for line in lines))
            bar.tick()

        if jobs.commands:
            run_jobs(jobs, backend, watch, complete)
        watch()
    return list(outputs.values())


def decoder_command(
    run: RecipeRun, decoding: Decoding, wav_scp: Path, keys: Path, output: Path
) -> List[str]:
    """The command that decodes one part of a test set."""
    options, layout = run.options, run.layout
    config = ["--config", str(decoding.config)] if decoding.config else []
    return run.module(
        decoder_module(run, decoding),
        *("--batch_size", options.batch_size),
        *("--ngpu", int(options.gpu_inference)),
        *("--data_path_and_name_and_type", f"{wav_scp},speech,sound"),
        *("--key_file", keys),
        *("--asr_train_config", layout.asr_exp / "config.yaml"),
        *("--asr_model_file", layout.model),
        *("--output_dir", output),
        *(*config, *options.inference_args),
    )


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
