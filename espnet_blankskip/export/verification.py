"""Whether an exported folder still does what its checkpoint does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from espnet_blankskip.decoding.frame_scores import FrameScores
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.runtime import ExportedSpeech2Text
from espnet_blankskip.runtime.manifest import read_manifest, sha256
from espnet_blankskip.zoo.archive import open_checkpoint
from espnet_blankskip.zoo.fit_sound import made_sound

TOLERANCE = 1e-4  # of log-probabilities, in float32
BATCH = 3


@dataclass
class Verification:
    """What was compared.

    Attributes:
        utterances: Utterances that were compared.
        frames: Their encoder frames.
        kept: Those of them that ran through all layers.
        largest: Largest difference of two log-probabilities.
        difference: The first that is too large, and of which utterance; None: equal.
    """

    utterances: int = 0
    frames: int = 0
    kept: int = 0
    largest: float = 0.0
    difference: Optional[str] = None


def verify(
    folder: Path,
    against: str,
    audio: Optional[Sequence[Tuple[str, Any]]] = None,
    engine: str = "onnxruntime",
) -> Verification:
    """Hold an exported folder against the checkpoint that it was made from.

    The same frames have to be kept, their log-probabilities to be within
    `TOLERANCE`, and the transcripts to be the same: one by one, with every frame kept,
    and in batches.

    Args:
        folder: What ``blankskip export`` wrote.
        against: The checkpoint.
        audio: (id, path or samples at the model's rate) of each utterance; None:
            sound that is made here, short and silent stretches among it.
        engine: What runs the graph.

    Raises:
        ValueError: The folder was exported from another checkpoint, or one of both
            cannot be loaded.
        BadAudio: An utterance cannot be used.
    """
    check_source(folder, against)
    ours = ExportedSpeech2Text(folder, engine=engine, check_files=False)
    theirs = BlankSkipSpeech2Text.from_pretrained(
        against, fast=False, **ours.manifest.gate
    )
    if audio is None:
        audio = made_audio(ours.sample_rate, ours.min_samples)
    found = Verification()
    for difference in _differences(ours, theirs, audio, found):
        found.difference = difference
        break
    return found


def check_source(folder: Path, against: str) -> None:
    """Check that an exported folder is whole, and made from a checkpoint.

    Raises:
        FileNotFoundError, ValueError: It is not.
    """
    manifest = read_manifest(folder)
    if sha256(open_checkpoint(against).model_file) != manifest.source_sha256:
        raise ValueError(
            f"{folder} was exported from {manifest.source}, whose weights are not "
            f"those of {against}"
        )


def made_audio(sample_rate: int, min_samples: int) -> List[Tuple[str, np.ndarray]]:
    """Sound of several lengths, a single frame and silence among it."""
    sounds = made_sound(sample_rate, count=4)
    lengths = (len(sounds[0]), 2 * sample_rate, sample_rate // 2 + 77, min_samples)
    audio = [
        (f"made {length / sample_rate:.2f} s", sound[: max(length, min_samples)])
        for sound, length in zip(sounds, lengths)
    ]
    return [*audio, ("silence", np.zeros(sample_rate, np.float32))]


def _differences(ours, theirs, audio, found: Verification) -> Iterator[str]:
    """Compare, count, and yield what differs."""
    several: List[Window] = []
    modes = ("skipping", "dense") if ours.can_skip else ("dense",)
    for utt_id, speech in audio:
        found.utterances += 1
        recording = ours.reader.open(speech, None, utt_id)
        windows = [
            Window(0, first, samples)
            for first, samples in ours.windowing.split(recording.blocks())
        ]
        for mode in modes:
            for window in windows:
                yield from _compare(ours, theirs, [window], mode, utt_id, found)
        texts = [
            recognizer(speech, utt_id=utt_id).text for recognizer in (ours, theirs)
        ]
        if texts[0] != texts[1]:
            yield f"{utt_id}: transcript '{texts[0]}' instead of '{texts[1]}'"
        several.append(windows[0])
        if ours.manifest.batches and len(several) == BATCH:
            names = f"the batch up to {utt_id}"
            yield from _compare(ours, theirs, several, modes[0], names, found)
            several = []


def _compare(ours, theirs, windows, mode, name, found: Verification) -> Iterator[str]:
    for recognizer in (ours, theirs):
        recognizer.set_mode(mode)
    got, _ = ours.score_windows(windows)
    want, _ = theirs.score_windows(windows)
    threshold = ours.manifest.gate.get("blank_threshold")
    for one, other in zip(got, want):
        found.frames += len(other.depth)
        found.kept += len(other.kept_index)
        where = name if mode == "skipping" else f"{name}, all frames kept"
        if not np.array_equal(one.depth, other.depth):
            yield f"{where}: {_depth_difference(one, other, threshold)}"
            return
        if not len(other.log_probs):
            continue
        error = float(np.abs(one.log_probs - other.log_probs).max())
        found.largest = max(found.largest, error)
        if not error <= TOLERANCE:
            frame = np.abs(one.log_probs - other.log_probs).max(1).argmax()
            yield (
                f"{where}: frame {other.kept_index[frame]}: a log-probability differs "
                f"by {error:.1e}, more than {TOLERANCE:.0e}"
            )
    for recognizer in (ours, theirs):
        recognizer.set_mode(None)


def _depth_difference(one: FrameScores, other: FrameScores, threshold) -> str:
    if len(one.depth) != len(other.depth):
        return f"{len(one.depth)} frames instead of {len(other.depth)}"
    frame = int((one.depth != other.depth).argmax())
    text = (
        f"frame {other.first + frame} runs through {one.depth[frame]} layers instead "
        f"of {other.depth[frame]}"
    )
    if one.blank_logp is None or other.blank_logp is None:
        return text
    probabilities = np.exp([one.blank_logp[frame], other.blank_logp[frame]])
    return text + (
        f" (blank {probabilities[0]:.7f} and {probabilities[1]:.7f}, threshold "
        f"{threshold})"
    )
