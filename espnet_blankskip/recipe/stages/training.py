"""Stage 11: training, from where an earlier call was stopped."""

import shutil
import zipfile
from pathlib import Path
from typing import List

from espnet_blankskip.recipe.backends.local import run_here
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import JobArray, run_jobs
from espnet_blankskip.recipe.markers import Facts, changed, content, write_marker
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.stages.statistics import PARTS
from espnet_blankskip.recipe.training_log import TrainingProgress
from espnet_blankskip.terminal import log

CHECKPOINT = "checkpoint.pth"
#: ESPnet overwrites its checkpoint in place; this is the last one written whole.
CHECKPOINT_COPY = "checkpoint.last_whole.pth"


def train(run: RecipeRun) -> None:
    """Run asr_train --resume true and show how far it is."""
    options, layout = run.options, run.layout
    folders = dict(zip(PARTS, map(layout.dump, (layout.train_set, layout.valid_set))))
    run.need_sets(11, folders.values(), "stages 1-4")
    run.need(11, [layout.token_list], "stage 5")
    shapes = ("speech_shape", f"text_shape.{options.token_type}")
    stats = [layout.asr_stats / part / name for part in PARTS for name in shapes]
    stats.append(layout.asr_stats / "train" / "feats_stats.npz")
    run.need(11, stats, "stage 10")
    exp = layout.asr_exp
    marker, started = exp / ".stage11.done", exp / ".stage11.started"
    facts = {
        **run.model_facts(),
        "feats_stats": content(stats[-1]),
        "feats_normalize": options.feats_normalize,
        "pretrained_model": options.pretrained_model,
    }
    if layout.model.is_file() and run.is_done(11, marker, facts, exp):
        return
    marker.unlink(missing_ok=True)
    train_log = exp / "train.log"
    backend = options.backends["cuda_cmd"]
    backend.stop_leftovers(train_log)
    exp.mkdir(parents=True, exist_ok=True)
    if (exp / CHECKPOINT).exists():
        check_same_data(run, started, facts)
    write_marker(started, facts)
    restore_checkpoint(exp)
    keep_old_log(train_log)
    log(
        f"Stage 11: ASR Training: train_set={folders['train']}, "
        f"valid_set={folders['valid']}, log: {train_log}"
    )
    command = run.module("espnet2.bin.asr_train", *training_arguments(run, folders))
    job = JobArray("stage 11: asr_train", {1: command}, train_log, gpus=options.ngpu)
    with TrainingProgress(train_log, lambda: copy_checkpoint(exp)) as progress:
        run_jobs(job, backend, progress.update)
    if not layout.model.is_file():
        raise StageError(missing_model(11, layout.model))
    (exp / CHECKPOINT_COPY).unlink(missing_ok=True)
    run.mark_done(marker, facts)


def training_arguments(run: RecipeRun, folders) -> List[str]:
    """Options of asr_train; those of --asr_args come last and win."""
    options, layout = run.options, run.layout
    train_data, shapes = train_lists(run, folders["train"])
    arguments = [*run.token_arguments(), *train_data]
    for name, kind in (("wav.scp", "speech,sound"), ("text", "text,text")):
        arguments += ["--valid_data_path_and_name_and_type"]
        arguments += [f"{folders['valid'] / name},{kind}"]
    for path in shapes:
        arguments += ["--train_shape_file", str(path)]
        valid = layout.asr_stats / "valid" / path.name
        arguments += ["--valid_shape_file", str(valid)]
    for length in (options.asr_speech_fold_length * 100, options.asr_text_fold_length):
        arguments += ["--fold_length", str(length)]
    if options.feats_normalize == "global_mvn":
        file = layout.asr_stats / "train" / "feats_stats.npz"
        arguments += ["--normalize", "global_mvn"]
        arguments += ["--normalize_conf", f"stats_file={file}"]
    if options.pretrained_model:
        arguments += ["--init_param", options.pretrained_model]
        mismatch = str(options.ignore_init_mismatch).lower()
        arguments += ["--ignore_init_mismatch", mismatch]
    return [
        *arguments,
        *("--resume", "true", "--output_dir", str(layout.asr_exp)),
        # With one GPU or none this is ignored; with more, asr_train spawns a process
        # for each, which is what espnet2.bin.launch does with a single node.
        *("--ngpu", str(options.ngpu), "--multiprocessing_distributed", "true"),
        *run.model_arguments(),
    ]


def train_lists(run: RecipeRun, folder: Path):
    """Data options and shape files of the training set, split if asked for."""
    options, layout = run.options, run.layout
    text_shape = f"text_shape.{options.token_type}"
    lists = [folder / "wav.scp", folder / "text"]
    names = ("speech_shape", text_shape)
    shapes = [layout.asr_stats / "train" / name for name in names]
    extra = []
    if options.num_splits_asr > 1:
        splits = layout.asr_stats / f"splits{options.num_splits_asr}"
        shutil.rmtree(splits, ignore_errors=True)
        command = run.module(
            "espnet2.bin.split_scps",
            *("--scps", *lists, *shapes),
            *("--num_splits", options.num_splits_asr, "--output_dir", splits),
        )
        split_log = layout.asr_stats / "logdir" / "split_scps.log"
        run_here("stage 11: split_scps", command, split_log)
        lists = [splits / path.name for path in lists]
        shapes = [splits / path.name for path in shapes]
        extra = ["--multiple_iterator", "true"]
    for path, kind in zip(lists, ("speech,sound", "text,text")):
        extra += ["--train_data_path_and_name_and_type", f"{path},{kind}"]
    return extra, shapes


def check_same_data(run: RecipeRun, started: Path, facts: Facts) -> None:
    """Refuse to go on with a model of other data; tell of other options.

    Raises:
        StageError: The data or the tokens are not those of the checkpoint.
    """
    exp = run.layout.asr_exp
    names = changed(started, facts) or []
    data = [name for name in names if "/" in name or name == "token_list"]
    if data:
        raise StageError(
            f"stage 11: {exp} was trained on other data ({', '.join(data)} changed): "
            "remove that folder or give another --asr_tag"
        )
    if names:
        log(f"Stage 11: resuming {exp} with changed options: {', '.join(names)}")


def keep_old_log(train_log: Path) -> None:
    """Rename the log of an earlier call, as espnet2.bin.launch does."""
    if train_log.exists():
        number = 1
        while train_log.with_name(f"train.{number}.log").exists():
            number += 1
        train_log.rename(train_log.with_name(f"train.{number}.log"))


def is_whole(checkpoint: Path) -> bool:
    """Whether a file of torch.save was written to its end, where its index is."""
    return checkpoint.is_file() and zipfile.is_zipfile(checkpoint)


def copy_checkpoint(exp: Path) -> None:
    """Keep a copy of the checkpoint between two epochs."""
    if is_whole(exp / CHECKPOINT):
        partial = exp / f".{CHECKPOINT_COPY}.partial"
        shutil.copyfile(exp / CHECKPOINT, partial)
        partial.replace(exp / CHECKPOINT_COPY)


def restore_checkpoint(exp: Path) -> None:
    """Put the copy in place of a checkpoint that was cut off in the middle."""
    checkpoint, copy = exp / CHECKPOINT, exp / CHECKPOINT_COPY
    if not checkpoint.exists() or is_whole(checkpoint):
        return
    if is_whole(copy):
        shutil.copyfile(copy, checkpoint)
        log(f"Stage 11: {checkpoint} is cut off; resuming from the epoch before")
    else:
        checkpoint.unlink()
        log(f"Stage 11: {checkpoint} is cut off and the only one; starting anew")


def missing_model(number: int, model: Path) -> str:
    """What to say where the checkpoint to decode with is not there."""
    others = ", ".join(sorted(path.name for path in model.parent.glob("*.pth")))
    there = f"there are {others}" if others else "run stages 1-11 first"
    return f"stage {number} needs {model} (--inference_asr_model): {there}"
