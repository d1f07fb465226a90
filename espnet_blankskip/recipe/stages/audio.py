"""Stages 2 to 4: speed perturbation, one format and rate, no unusable utterances."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Tuple

import numpy as np
import soundfile
import soxr

from espnet_blankskip.audio.reading import BadAudio, soundfile_reads
from espnet_blankskip.children import sensible_processes
from espnet_blankskip.kaldi.file_names import file_stem
from espnet_blankskip.kaldi.lists import (
    read_optional_table,
    read_rows,
    read_table,
    write_rows,
)
from espnet_blankskip.kaldi.utterances import (
    DROPPED,
    Problem,
    Utterance,
    list_utterances,
    write_lists,
)
from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.layout import DATA
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.terminal import ProgressBar, log

MARKER = ".done"


class FolderInMaking:
    """A folder that takes its place, and its predecessor's, only when complete."""

    def __init__(self, path: Path):
        self.path = path
        self.partial = path.parent / f".{path.name}.partial"
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)

    def commit(self) -> None:
        """Put the folder in its place."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.replace(self.partial, self.path)


def for_all(
    function: Callable, items: List, threads: int, description: str
) -> Iterable:
    """Results of a function that spends its time in libsndfile or soxr, in order."""
    with ThreadPoolExecutor(sensible_processes(threads, len(items))) as pool:
        with ProgressBar(description, len(items), unit="utt") as bar:
            for result in pool.map(function, items):
                bar.update()
                yield result


def is_test(run: RecipeRun, name: str) -> bool:
    """Whether a set is only tested on, so that it must stay whole."""
    return name not in (run.layout.train_set, run.layout.valid_set)


def refuse_thin_test(number: int, name: str, problems: List[Problem]) -> None:
    """Stop where a test set would lose utterances.

    Raises:
        StageError: Names the first of them.
    """
    for utt_id, reason in problems:
        log(f"Stage {number}: cannot use {utt_id}: {reason}")
    if problems:
        utt_id, reason = problems[0]
        raise StageError(
            f"stage {number}: {len(problems)} utterances of the test set {name} cannot "
            f"be used, the first is {utt_id}: {reason} (--thin_test_sets true leaves "
            "them out of every result)"
        )


def left_out(folder: Path) -> List[Problem]:
    """What earlier steps have left out of a set."""
    path = folder / DROPPED
    return read_rows(path) if path.is_file() else []


def report_dropped(number: int, folder: Path, total: int, problems: List[Problem]):
    """One line for every utterance left out, and one that counts them."""
    for utt_id, reason in problems:
        log(f"Stage {number}: dropped {utt_id}: {reason}")
    # A transcript without audio was never one of the utterances of wav.scp.
    log(f"Stage {number}: {folder}: {total} utterances kept, {len(problems)} dropped")


def write_audio(number: int, path: Path, audio: np.ndarray, rate: int) -> None:
    """Write 16-bit audio (S,).

    Raises:
        StageError: It cannot be written; a full disk, for example.
    """
    try:
        soundfile.write(path, audio, rate, "PCM_16")
    except (soundfile.SoundFileError, OSError) as error:
        raise StageError(f"stage {number}: cannot write {path}: {error}") from None


def perturb_speed(run: RecipeRun) -> None:
    """Stage 2: copies of the training set at other speeds, by resampling."""
    options, layout = run.options, run.layout
    source = DATA / options.train_set
    run.need_sets(2, [source], "stage 1")
    target = layout.data(layout.train_set)
    facts = {**run.set_facts(source), "factors": options.speed_perturb_factors}
    if run.is_done(2, target / MARKER, facts, target):
        return
    log(f"Stage 2: Speed perturbation: {source} -> {target}")
    folder = FolderInMaking(target)
    utterances, problems = list_utterances(source)
    texts = read_table(source / "text")
    speakers = read_optional_table(source / "utt2spk")
    rows: Dict[str, List[Tuple[str, str]]] = {"wav.scp": [], "text": [], "utt2spk": []}

    def copy(item: Tuple[Utterance, float]) -> Optional[Problem]:
        utterance, factor = item
        prefix = "" if factor == 1.0 else f"sp{factor:g}-"
        utt_id = prefix + utterance.utt_id
        path = utterance.path
        if factor != 1.0 or utterance.start is not None:
            try:
                audio, rate = utterance.read_checked()
            except BadAudio as problem:
                return utt_id, problem.reason
            audio = soxr.resample(audio, rate * factor, rate)
            name = Path("wav") / f"{file_stem(utt_id)}.{options.audio_format}"
            write_audio(2, folder.partial / name, audio, rate)
            path = str((target / name).absolute())
        speaker = speakers.get(utterance.utt_id, utterance.utt_id)
        rows["wav.scp"].append((utt_id, path))
        rows["text"].append((utt_id, texts.get(utterance.utt_id, "")))
        rows["utt2spk"].append((utt_id, prefix + speaker))
        return None

    (folder.partial / "wav").mkdir()
    factors = options.speed_perturb_factors
    items = [(utterance, factor) for factor in factors for utterance in utterances]
    results = for_all(copy, items, options.nj, "stage 2: speed perturbation")
    problems += [problem for problem in results if problem is not None]
    for name, content in rows.items():
        write_rows(folder.partial / name, content)
    folder.commit()
    report_dropped(2, target, len(rows["wav.scp"]), problems)
    run.mark_done(target / MARKER, facts)


def format_audio(run: RecipeRun) -> None:
    """Stage 3: one audio file per utterance at one sampling rate."""
    layout = run.layout
    run.need_sets(3, [layout.data(name) for name in layout.sets], "stages 1-2")
    for name in layout.sets:
        format_set(run, name)


def format_set(run: RecipeRun, name: str) -> None:
    """Format one set: data/NAME -> dump/raw/org/NAME."""
    options, layout = run.options, run.layout
    source, target = layout.data(name), layout.formatted(name)
    test = is_test(run, name)
    facts = {
        **run.set_facts(source),
        "test": test,
        "fs": options.fs,
        "audio_format": options.audio_format,
    }
    if run.is_done(3, target / MARKER, facts, target):
        return
    log(f"Stage 3: Format wav.scp: {source} -> {target}")
    folder = FolderInMaking(target)
    utterances, problems = list_utterances(source)
    lengths = read_optional_table(source / "utt2num_samples")
    written = Path("data") / "format.1"
    (folder.partial / written).mkdir(parents=True)

    def convert(utterance: Utterance) -> Tuple[Optional[Tuple[str, int]], str]:
        utt_id, whole = utterance.utt_id, utterance.start is None
        length = lengths.get(utt_id, "") if whole else ""
        samples = int(length) if length.isdigit() else None
        try:
            audio, rate = utterance.read_checked(samples, mix=test)
        except BadAudio as problem:
            return None, problem.reason
        as_it_is = whole and rate == options.fs
        if as_it_is and soundfile_reads(utterance.path, len(audio)):
            return (utterance.path, len(audio)), ""
        if rate != options.fs:
            audio = soxr.resample(audio, rate, options.fs)
        file = written / f"{file_stem(utt_id)}.{options.audio_format}"
        write_audio(3, folder.partial / file, audio, options.fs)
        return (str(target / file), len(audio)), ""

    kept: Dict[str, Tuple[str, int]] = {}
    results = for_all(convert, utterances, options.nj, f"stage 3: {name}")
    for (place, problem), utterance in zip(results, utterances):
        if place is None:
            problems.append((utterance.utt_id, problem))
        else:
            kept[utterance.utt_id] = place
    problems += write_lists(folder.partial, kept, source, empty_texts=test)
    located = {utterance.utt_id for utterance in utterances} | {u for u, _ in problems}
    for utt_id in sorted(set(read_table(source / "text")) - located):
        problems.append((utt_id, "has a transcript and no audio"))
    if test and not options.thin_test_sets:
        refuse_thin_test(3, name, problems)
    write_rows(folder.partial / DROPPED, left_out(source) + problems)
    write_whole(folder.partial / "feats_type", options.feats_type + "\n")
    folder.commit()
    report_dropped(3, target, len(read_rows(target / "wav.scp")), problems)
    run.mark_done(target / MARKER, facts)


def filter_utterances(run: RecipeRun) -> None:
    """Stage 4: no too short and too long utterances for training; test sets whole."""
    layout = run.layout
    run.need_sets(4, [layout.formatted(name) for name in layout.sets], "stages 1-3")
    for name in layout.sets:
        filter_set(run, name, limited=name in (layout.train_set, layout.valid_set))
    text = "".join(
        f"{utt_id} {text}\n"
        for utt_id, text in read_rows(layout.dump(layout.train_set) / "text")
    )
    write_whole(layout.feats / "lm_train.txt", text)


def filter_set(run: RecipeRun, name: str, limited: bool) -> None:
    """Filter one set: dump/raw/org/NAME -> dump/raw/NAME."""
    options, layout = run.options, run.layout
    source, target = layout.formatted(name), layout.dump(name)
    shortest, longest = options.min_wav_duration, options.max_wav_duration
    facts = {**run.set_facts(source), "limits": [shortest, longest, limited]}
    if run.is_done(4, target / MARKER, facts, target):
        return
    if limited:
        log(f"Stage 4: Remove long/short data: {source} -> {target}")
    folder = FolderInMaking(target)
    paths = read_table(source / "wav.scp")
    kept: Dict[str, Tuple[str, int]] = {}
    problems: List[Problem] = []
    for utt_id, samples in read_rows(source / "utt2num_samples"):
        seconds = int(samples) / options.fs
        if limited and not shortest < seconds < longest:
            how = "short" if seconds <= shortest else "long"
            limit = shortest if how == "short" else longest
            name_of = "--min_wav_duration" if how == "short" else "--max_wav_duration"
            problems.append(
                (utt_id, f"too {how}: {seconds:.2f} s ({name_of} {limit:g})")
            )
        else:
            kept[utt_id] = (paths[utt_id], int(samples))
    test = is_test(run, name)
    problems += write_lists(folder.partial, kept, source, empty_texts=test)
    write_rows(folder.partial / DROPPED, left_out(source) + problems)
    write_whole(folder.partial / "feats_type", options.feats_type + "\n")
    folder.commit()
    report_dropped(4, target, len(read_rows(target / "wav.scp")), problems)
    if not kept:
        raise StageError(f"stage 4: {target} has no utterances left")
    run.mark_done(target / MARKER, facts)
