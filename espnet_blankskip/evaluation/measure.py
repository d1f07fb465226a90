"""Error rates and speed of several settings, measured side by side.

A machine drifts (other load, clock rate, heat). So the settings take turns on every
utterance, in a rotating order, and speed-ups compare times of the same repeat.
"""

from dataclasses import dataclass, replace
from statistics import median
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.evaluation.scoring import score_texts
from espnet_blankskip.terminal import ProgressBar

#: Fewer do not give a median of times to rely on.
MIN_REPEATS = 7
Recognizer = Callable[[np.ndarray], Recognition]
Pass = Dict[str, List[Recognition]]


@dataclass(frozen=True)
class LoadedUtterance:
    """One test utterance in memory.

    Args:
        utt_id: Its id.
        samples: Audio (S,) at the model's rate.
        reference: Its transcript, if there is one.
    """

    utt_id: str
    samples: np.ndarray
    reference: Optional[str]


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


@dataclass(frozen=True)
class Comparison:
    """What several settings make of the same utterances.

    Attributes:
        utterances: Each with the reference that it was scored against.
        passed: Recognitions by setting, in the order of the utterances.
        accuracies: Over all utterances, by setting.
        speeds: By setting.
        timed: How many utterances speed was measured on.
    """

    utterances: List[LoadedUtterance]
    passed: Pass
    accuracies: Dict[str, Accuracy]
    speeds: Dict[str, Speed]
    timed: int


def compare(
    settings: Dict[str, Recognizer],
    utterances: Sequence[LoadedUtterance],
    reference: str,
    name: str,
    repeats: int = 0,
    seconds: float = 0.0,
    lost: Sequence[str] = (),
) -> Comparison:
    """Recognize every utterance once with every setting, then time a part of them.

    Args:
        settings: Recognizers by name.
        utterances: Test utterances. One without a transcript is scored against what
            the reference setting makes of it.
        reference: Setting whose speed-up is 1.
        name: What the progress bar begins with.
        repeats: Repeats of the speed measurement; 0 takes the times of the one pass.
        seconds: Time for all of them; as many utterances are timed as fit, at least 1.
        lost: Transcripts of further test utterances, of which nothing can be heard:
            whatever the setting, all their words are deleted.

    Raises:
        ValueError: The reference setting recognizes no word where transcripts lack.
    """
    passed = run_settings(settings, utterances, f"{name}: accuracy")
    scored = [
        replace(utterance, reference=recognition.text)
        if utterance.reference is None
        else utterance
        for utterance, recognition in zip(utterances, passed[reference])
    ]
    untold = any(utterance.reference is None for utterance in utterances)
    if untold and not any(utterance.reference.split() for utterance in scored):
        raise ValueError(
            f"the {reference} pass recognizes no word, so nothing can be compared with "
            "it: give --text, or other recordings"
        )
    timed, passes = scored, [passed]
    if repeats:
        timed = affordable(scored, passed, repeats, seconds)
        passes = [
            run_settings(settings, timed, f"{name}: speed, repeat {n} of {repeats}")
            for n in range(1, repeats + 1)
        ]
    return Comparison(
        utterances=scored,
        passed=passed,
        accuracies={name: accuracy(passed[name], scored, lost) for name in settings},
        speeds=speeds(passes, reference),
        timed=len(timed),
    )


def run_settings(
    settings: Dict[str, Recognizer], utterances: Sequence[LoadedUtterance], name: str
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
    recognitions: Sequence[Recognition],
    utterances: Sequence[LoadedUtterance],
    lost: Sequence[str] = (),
) -> Accuracy:
    """Score one setting against the references, and those `lost` as in `compare`."""
    references = [*(u.reference for u in utterances), *lost]
    texts = [*(r.text for r in recognitions), *("" for _ in lost)]
    frames = sum(len(r.depth) for r in recognitions)
    return Accuracy(
        wer=score_texts(references, texts, "wer")[0]["percent"],
        cer=score_texts(references, texts, "cer")[0]["percent"],
        kept=100.0 * sum(r.kept_frames for r in recognitions) / max(1, frames),
    )


def speeds(passes: Sequence[Pass], reference: str) -> Dict[str, Speed]:
    """Summarize repeated passes.

    Args:
        passes: One `run_settings` result per repeat, over the same utterances.
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


def spread_by_length(
    utterances: Sequence[LoadedUtterance], count: int
) -> List[LoadedUtterance]:
    """Choose utterances evenly from the shortest to the longest.

    Args:
        utterances: All of them.
        count: How many are wanted; at least 1 are returned, at most all.
    """
    by_length = sorted(utterances, key=lambda u: len(u.samples))
    count = max(1, min(count, len(by_length)))
    picks = np.linspace(0, len(by_length) - 1, count).round().astype(int)
    return [by_length[i] for i in picks]


def affordable(
    utterances: Sequence[LoadedUtterance], passed: Pass, repeats: int, seconds: float
) -> List[LoadedUtterance]:
    """Choose utterances, from the shortest to the longest, that fit into a time.

    Args:
        utterances: All of them.
        passed: A pass over them that was already made.
        repeats: How often it will be repeated.
        seconds: Time for all repeats together.
    """
    spent = sum(r.total_seconds for results in passed.values() for r in results)
    count = seconds / max(1e-6, repeats * spent / len(utterances))
    return spread_by_length(utterances, int(count))
