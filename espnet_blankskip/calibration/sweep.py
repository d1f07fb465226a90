"""Measure every setting of a grid beside the dense pass."""

from dataclasses import dataclass
from typing import Dict, List, Sequence

from espnet_blankskip.calibration.frontier import Layer, Point
from espnet_blankskip.calibration.grid import name_of
from espnet_blankskip.calibration.opening import Candidate
from espnet_blankskip.calibration.speech_set import SpeechSet
from espnet_blankskip.evaluation.measure import (
    MIN_REPEATS,
    Comparison,
    Recognizer,
    compare,
    spread_by_length,
)
from espnet_blankskip.evaluation.modes import DENSE, INTERMEDIATE, recognizer_at
from espnet_blankskip.evaluation.scoring import score_texts
from espnet_blankskip.gate_options import GateOptions

TIMING_REPEATS = MIN_REPEATS


@dataclass(frozen=True)
class Sweep:
    """What was measured.

    Attributes:
        dense: the final layer on all frames.
        gates: the gate layers on all frames, where their labels can be read.
        points: the grid, in its order.
        words: reference words.
        timed: utterances that speed was measured on.
        repeats: how often each.
    """

    dense: Layer
    gates: List[Layer]
    points: List[Point]
    words: int
    timed: int
    repeats: int


def count_settings(candidate: Candidate, grid: Sequence[GateOptions]) -> int:
    """How many ways each utterance will be recognized."""
    return len(_recognizers(candidate, grid))


def estimate_seconds(candidate: Candidate, speech: SpeechSet, settings: int) -> float:
    """How long the accuracy pass will take if all settings are as slow as dense."""
    dense = recognizer_at(candidate.speech2text, GateOptions(mode=DENSE))
    sample = spread_by_length(speech.utterances, 3)[-2:][0]
    dense(sample.samples)  # the first call is slower: caches and thread pools
    result = dense(sample.samples)
    return settings * speech.seconds * result.total_seconds / result.audio_seconds


def measure(
    candidate: Candidate,
    speech: SpeechSet,
    grid: Sequence[GateOptions],
    timing_seconds: float,
) -> Sweep:
    """Recognize every utterance once with every setting, then time a part of them.

    Args:
        candidate: the checkpoint.
        speech: what to recognize. Without transcripts the dense pass's own output
            is the reference.
        grid: settings.
        timing_seconds: time to spend on measuring speed; at least one utterance is
            timed ``TIMING_REPEATS`` times.

    Raises:
        ValueError: there is nothing to compare with, because the dense pass
            recognizes no word where it is the reference.
    """
    compared = compare(
        _recognizers(candidate, grid),
        speech.utterances,
        DENSE,
        "calibrate",
        TIMING_REPEATS,
        timing_seconds,
    )
    points = []
    for point in grid:
        name = name_of(point)
        a, s = compared.accuracies[name], compared.speeds[name]
        points.append(Point(point, a.wer, a.kept, s.encoder_rtf, s.speed_up))
    return Sweep(
        dense=_layer(candidate.speech2text.num_layers, DENSE, compared),
        gates=[
            _layer(number, _alone(number), compared)
            for number in _readable_gates(candidate, grid)
        ],
        points=points,
        words=sum(len(u.reference.split()) for u in compared.utterances),
        timed=compared.timed,
        repeats=TIMING_REPEATS,
    )


def _recognizers(
    candidate: Candidate, grid: Sequence[GateOptions]
) -> Dict[str, Recognizer]:
    speech2text = candidate.speech2text
    recognizers = {DENSE: recognizer_at(speech2text, GateOptions(mode=DENSE))}
    for n in _readable_gates(candidate, grid):
        alone = GateOptions(gate_layers=n, mode=INTERMEDIATE)
        recognizers[_alone(n)] = recognizer_at(speech2text, alone)
    for point in grid:
        recognizers[name_of(point)] = recognizer_at(speech2text, point)
    return recognizers


def _readable_gates(candidate: Candidate, grid: Sequence[GateOptions]) -> List[int]:
    if not candidate.reads_labels_at_gate:
        return []
    return sorted({n for point in grid for n in point.gate_layers})


def _alone(number: int) -> str:
    return f"layer {number} alone"


def _layer(number: int, name: str, compared: Comparison) -> Layer:
    errors = []
    for utterance, recognition in zip(compared.utterances, compared.passed[name]):
        counts = score_texts([utterance.reference], [recognition.text], "wer")[0]
        errors.append(
            counts["substitutions"] + counts["deletions"] + counts["insertions"]
        )
    speed = compared.speeds[name]
    wer = compared.accuracies[name].wer
    return Layer(number, wer, errors, speed.encoder_rtf, speed.speed_up)
