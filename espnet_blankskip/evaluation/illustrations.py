"""Measurements behind the two pictures of a report."""

from pathlib import Path
from typing import Optional, Sequence, Tuple

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.evaluation.measure import (
    LoadedUtterance,
    Pass,
    accuracy,
    affordable,
    compare,
)
from espnet_blankskip.evaluation.modes import (
    DENSE,
    INTERMEDIATE,
    SKIPPING,
    recognizer_at,
)
from espnet_blankskip.evaluation.threshold_picture import SweepPoint, draw_sweep
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.kaldi.file_names import file_stem
from espnet_blankskip.pictures.depth import DepthPicture, draw_depth

# Lengths in seconds at which a picture of one utterance can still be read.
READABLE_SECONDS = (2.0, 5.0)


def sweep_picture(
    speech2text: BlankSkipSpeech2Text,
    utterances: Sequence[LoadedUtterance],
    passed: Pass,
    thresholds: Sequence[float],
    seconds: float,
    path: Path,
) -> Tuple[Path, str]:
    """Decode with several thresholds and draw error rate and speed against them.

    Args:
        speech2text: Recognizer of a blankskip model.
        utterances: The test set.
        passed: Its recognitions by setting, among them dense, and intermediate if
            the gate layer can be read.
        thresholds: Blank thresholds to try.
        seconds: Time to spend; as many utterances are decoded as fit.
        path: PNG to write.

    Returns:
        The path and a caption.
    """
    settings = {DENSE: recognizer_at(speech2text, GateOptions(mode=DENSE))}
    for threshold in sorted(thresholds):
        gate = GateOptions(blank_threshold=threshold, mode=SKIPPING)
        settings[str(threshold)] = recognizer_at(speech2text, gate)
    dense = {DENSE: passed[DENSE]}
    chosen = affordable(utterances, dense, len(settings), seconds)
    swept = compare(settings, chosen, DENSE, "report: thresholds")
    points = [
        SweepPoint(float(name), a.wer, a.kept, swept.speeds[name].speed_up)
        for name, a in swept.accuracies.items()
        if name != DENSE
    ]
    intermediate_wer = None
    if INTERMEDIATE in passed:
        at_gate = {u.utt_id: r for u, r in zip(utterances, passed[INTERMEDIATE])}
        intermediate_wer = accuracy([at_gate[u.utt_id] for u in chosen], chosen).wer
    draw_sweep(
        points,
        dense_wer=swept.accuracies[DENSE].wer,
        intermediate_wer=intermediate_wer,
        trained_threshold=speech2text.asr_model.encoder.blank_threshold,
        path=path,
    )
    everything = len(chosen) == len(utterances)
    number = "all" if everything else f"{len(chosen)} of the"
    return path, (
        "WER and speed-up over dense against the blank threshold, on "
        f"{number} {len(utterances)} utterances."
    )


def depth_picture(
    speech2text: BlankSkipSpeech2Text,
    utterance: LoadedUtterance,
    result: Recognition,
    folder: Path,
) -> Tuple[Path, str]:
    """Draw how deep each frame of one utterance ran.

    Args:
        speech2text: Recognizer of a blankskip model.
        utterance: The utterance.
        result: Its recognition in mode skipping.
        folder: Where to write `depth_UTT.png`.

    Returns:
        The path and a caption.
    """
    encoder = speech2text.asr_model.encoder
    path = folder / f"depth_{file_stem(utterance.utt_id)}.png"
    picture = DepthPicture(
        utt_id=utterance.utt_id,
        samples=utterance.samples,
        sample_rate=speech2text.sample_rate,
        result=result,
        clock=speech2text.clock,
        gate_layers=list(encoder.gate_layers),
        num_layers=speech2text.num_layers,
        blank_threshold=encoder.blank_threshold,
    )
    draw_depth(picture, path)
    return path, (
        f"Utterance {utterance.utt_id}: {100 * result.kept_ratio:.0f} % of its frames "
        f"ran through all {speech2text.num_layers} layers. An illustration, not a "
        "random sample: unless one is asked for, a correctly recognized utterance "
        "with many words in 2 to 5 s is preferred."
    )


def choose_utterance(
    utterances: Sequence[LoadedUtterance], recognitions, wanted: Optional[str] = None
) -> int:
    """Choose an utterance that shows the idea: right, with the most words in 2-5 s.

    Raises:
        ValueError: The wanted one is not in the set.
    """
    if wanted is not None:
        for number, utterance in enumerate(utterances):
            if utterance.utt_id == wanted:
                return number
        raise ValueError(f"--utterance {wanted} is not in the test set")

    def interest(number: int):
        result = recognitions[number]
        right = result.text.split() == utterances[number].reference.split()
        low, high = READABLE_SECONDS
        return (low <= result.audio_seconds <= high, right, len(result.token))

    return max(range(len(utterances)), key=interest)
