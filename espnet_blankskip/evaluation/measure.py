"""Error rates and speed of several settings, measured side by side.

A machine drifts (other load, clock rate, heat). So the settings take turns on every
utterance, in a rotating order, and speed-ups compare times of the same repeat.
"""

from dataclasses import dataclass
from statistics import median
from typing import Callable, Dict, List, Sequence

import numpy as np

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.evaluation.scoring import score_texts
from espnet_blankskip.terminal import ProgressBar

Recognizer = Callable[[np.ndarray], Recognition]
Pass = Dict[str, List[Recognition]]


@dataclass(frozen=True)
class Utterance:
    """One test utterance in memory.

    Args:
        utt_id: Its id.
        samples: Audio (S,) at the model's rate.
        reference: Its transcript.
    """

    utt_id: str
    samples: np.ndarray
    reference: str


@dataclass(frozen=True)
class Accuracy:
    """Error rates and depth of one setting over a set, all in percent."""

    wer: float
    cer: float
    kept: float


@dataclass(frozen=True)
class Speed:
    """Speed of one setting, medians over repeats.

    Args:
        encoder_rtf: Seconds of front-end and encoder per second of audio.
        total_rtf: The same plus CTC head, search and detokenization.
        speed_up: Total time of the reference over total time of this setting.
    """

    encoder_rtf: float
    total_rtf: float
    speed_up: float


def run_settings(
    settings: Dict[str, Recognizer], utterances: Sequence[Utterance], name: str
) -> Pass:
    """Recognize every utterance with every setting, interleaved.

    Args:
        settings: Recognizers by name.
        utterances: Test utterances.
        name: What the progress bar says.

    Returns:
        Recognitions by setting, in the order of the utterances.
    """
    names = list(settings)
    results: Pass = {setting: [] for setting in names}
    with ProgressBar(name, len(utterances) * len(names), unit="utt") as bar:
        for number, utterance in enumerate(utterances):
            first = number % len(names)  # nobody always runs on a warm cache
            for setting in names[first:] + names[:first]:
                results[setting].append(settings[setting](utterance.samples))
                bar.update()
    return results


def accuracy(
    recognitions: Sequence[Recognition], utterances: Sequence[Utterance]
) -> Accuracy:
    """Score one setting against the references."""
    references = [u.reference for u in utterances]
    texts = [r.text for r in recognitions]
    frames = sum(len(r.depth) for r in recognitions)
    return Accuracy(
        wer=score_texts(references, texts, "wer")[0]["percent"],
        cer=score_texts(references, texts, "cer")[0]["percent"],
        kept=100.0 * sum(r.kept_frames for r in recognitions) / max(1, frames),
    )


def speeds(passes: Sequence[Pass], reference: str) -> Dict[str, Speed]:
    """Summarize repeated passes.

    Args:
        passes: One `take_turns` result per repeat, over the same utterances.
        reference: Setting whose speed-up is 1.

    Returns:
        Speed by setting.
    """

    def rtf(recognitions: List[Recognition], field: str) -> float:
        seconds = sum(getattr(r, field) for r in recognitions)
        return seconds / sum(r.audio_seconds for r in recognitions)

    return {
        name: Speed(
            encoder_rtf=median(rtf(p[name], "encoder_seconds") for p in passes),
            total_rtf=median(rtf(p[name], "total_seconds") for p in passes),
            speed_up=median(
                rtf(p[reference], "total_seconds") / rtf(p[name], "total_seconds")
                for p in passes
            ),
        )
        for name in passes[0]
    }


def spread_by_length(utterances: Sequence[Utterance], count: int) -> List[Utterance]:
    """Choose utterances evenly from the shortest to the longest.

    Args:
        utterances: All of them.
        count: How many are wanted; at least 1 are returned, at most all.
    """
    by_length = sorted(utterances, key=lambda u: len(u.samples))
    count = max(1, min(count, len(by_length)))
    picks = np.linspace(0, len(by_length) - 1, count).round().astype(int)
    return [by_length[i] for i in picks]


def affordable(passed: Pass, repeats: int, seconds: float) -> int:
    """How many utterances can be repeated within a time.

    Args:
        passed: A pass that was already made.
        repeats: Wanted repeats.
        seconds: Time for all repeats together.
    """
    spent = sum(r.total_seconds for results in passed.values() for r in results)
    count = len(next(iter(passed.values())))
    return int(seconds / max(1e-6, repeats * spent / count))
