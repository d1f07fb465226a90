"""Which measured points are worth having, and which one to take, if any."""

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence

from espnet_blankskip.calibration.grid import name_of
from espnet_blankskip.gate_options import GateOptions

SKIP, DENSE_ONLY, UNJUDGED = "skip", "do not skip", "cannot be judged"
# A model that gets a third of its words wrong is not done: on such a one, skipping
# without training was seen to cost 25-40 points where it costs none later.
UNDERFIT_WER = 30.0
# two-sided 5 %: fewer errors at the gate than this may be chance
CLEARLY = 1.96


@dataclass(frozen=True)
class Layer:
    """All frames run to one layer and stop there.

    Attributes:
        number: 1-based; the last one makes the dense pass.
        wer: word error rate in percent.
        errors: word errors of each utterance.
        encoder_rtf: seconds of front-end and encoder per second of audio.
        speed_up: time of the dense pass over time of this one.
    """

    number: int
    wer: float
    errors: Sequence[int]
    encoder_rtf: float
    speed_up: float


@dataclass(frozen=True)
class Point:
    """One setting, measured.

    Attributes:
        setting: the mode and the gates.
        wer: word error rate in percent.
        kept: share in percent of the frames that ran through every layer.
        encoder_rtf, speed_up: as for ``Layer``.
    """

    setting: GateOptions
    wer: float
    kept: float
    encoder_rtf: float
    speed_up: float


@dataclass(frozen=True)
class Verdict:
    """What to do with a checkpoint.

    Attributes:
        kind: SKIP, DENSE_ONLY or UNJUDGED.
        reason: why, in one sentence.
        point: the setting to decode with where the kind is SKIP.
    """

    kind: str
    reason: str
    point: Optional[Point] = None


def pareto(points: Sequence[Point], dense: Layer) -> List[Point]:
    """Points that no other point, nor the dense pass, beats in both measures.

    Returns:
        From the slowest to the fastest. Of points with the same measures the first
        one stays.
    """
    best: List[Point] = []
    lowest = math.inf
    for point in sorted(points, key=lambda p: (-p.speed_up, p.wer)):
        beaten_by_dense = point.speed_up <= 1.0 and point.wer >= dense.wer
        if point.wer < lowest and not beaten_by_dense:
            best.append(point)
            lowest = point.wer
    return best[::-1]


def judge(
    dense: Layer,
    gates: Sequence[Layer],
    points: Sequence[Point],
    max_wer_loss: float,
    has_text: bool = True,
) -> Verdict:
    """Choose the fastest point within a loss, unless the checkpoint forbids it.

    Args:
        dense: the final layer on all frames.
        gates: the gate layers on all frames; those whose labels cannot be read are
            left out.
        points: measured settings.
        max_wer_loss: WER in percent points that may be lost against ``dense``.
        has_text: whether WER is against transcripts. Without them the dense pass
            is right by definition, and whether it is any good cannot be seen.
    """
    if has_text:
        better = [g for g in gates if clearly_better(g.errors, dense.errors)]
        if better:
            gate = min(better, key=lambda g: g.wer)
            reason = (
                f"layer {gate.number} alone ({gate.wer:.2f} % WER) is better than the "
                f"final layer ({dense.wer:.2f} %), so the dense pass is no reference "
                "and skipping cannot be judged; train on first"
            )
            best = min(points, key=lambda p: p.wer, default=None)
            if best is not None and best.wer < gate.wer:
                # seen early in training with train_skip
                reason += (
                    f" ({name_of(best.setting)} has {best.wer:.2f} %: the deep layers "
                    "serve kept frames, and not yet all frames)"
                )
            return Verdict(UNJUDGED, reason)
        if dense.wer > UNDERFIT_WER:
            return Verdict(
                UNJUDGED,
                f"the dense pass has {dense.wer:.2f} % WER, above {UNDERFIT_WER:g} %: "
                "the checkpoint is underfit or the data is not what it was trained "
                "for (mind letter case), so skipping cannot be judged",
            )
    # a rate that was divided and multiplied is not exact to the last bit
    limit = dense.wer + max_wer_loss + 1e-9
    within = [p for p in points if p.wer <= limit]
    if not within:
        return Verdict(
            DENSE_ONLY,
            f"no point is within {max_wer_loss:g} WER of the dense pass: do not skip "
            "with this checkpoint",
        )
    fastest = max(within, key=lambda p: (round(p.speed_up, 2), -p.wer))
    if fastest.speed_up <= 1.0:
        return Verdict(
            DENSE_ONLY,
            f"no point within {max_wer_loss:g} WER of the dense pass is faster than "
            "it: do not skip with this checkpoint on this machine",
        )
    return Verdict(
        SKIP,
        f"the fastest of {len(within)} points within {max_wer_loss:g} WER of the "
        "dense pass",
        fastest,
    )


def clearly_better(errors: Sequence[int], others: Sequence[int]) -> bool:
    """Whether one system makes fewer errors than another, beyond chance.

    A paired test over utterances: the sum of the differences d against its
    deviation sqrt(sum d^2) if each had a random sign. After distillation a gate
    layer is about as good as the final one, so a smaller number alone says nothing.

    Args:
        errors: word errors of each utterance.
        others: those of the other system, in the same order.
    """
    differences = [b - a for a, b in zip(errors, others)]
    spread = math.sqrt(sum(d * d for d in differences))
    return spread > 0 and sum(differences) / spread > CLEARLY
