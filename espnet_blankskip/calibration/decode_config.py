"""Write a verdict as a decode config."""

import time
from pathlib import Path

import yaml

from espnet_blankskip.calibration.frontier import SKIP, Point, Verdict
from espnet_blankskip.calibration.opening import Candidate
from espnet_blankskip.calibration.speech_set import SpeechSet
from espnet_blankskip.calibration.sweep import Sweep
from espnet_blankskip.kaldi.whole_file import write_whole


def decode_config(
    candidate: Candidate, speech: SpeechSet, sweep: Sweep, verdict: Verdict
) -> str:
    """Return a config for ``asr_decode --config``.

    Where skipping is not advised it says ``mode: dense``, so that a recipe that
    names this file goes on with a safe setting and not with an older calibration.
    """
    against = "transcripts" if speech.has_text else "the dense pass's own output"
    lines = [
        f"Written by `blankskip calibrate` on {time.strftime('%Y-%m-%d')}.",
        f"{candidate.found.source} ({candidate.found.model_file}), "
        f"{len(speech.utterances)} utterances of {speech.name}, WER against {against}.",
        f"{verdict.kind}: {verdict.reason}.",
    ]
    values = {"mode": "dense", "batch_size": 1}
    if verdict.kind == SKIP:
        point = verdict.point
        encoder = candidate.speech2text.asr_model.encoder
        lines.append(
            f"WER {point.wer:.2f} % (dense {sweep.dense.wer:.2f} %), "
            f"{point.kept:.1f} % of the frames kept, {point.speed_up:.2f}x as fast."
        )
        if candidate.needs_conversion:
            command = convert_command(candidate, point)
            lines.append(f"For the converted checkpoint: {command}")
        values = {
            "mode": "skipping",
            "batch_size": 1,
            "gate_layers": list(point.setting.gate_layers),
            "blank_threshold": point.setting.blank_threshold,
            "spike_extension": point.setting.spike_extension,
            "conv_context": encoder.conv_context,
            "attn_context": encoder.attn_context,
        }
    speech2text = candidate.speech2text
    for name in ("lang_sym", "task_sym"):  # what the calibration holds for
        if getattr(speech2text, name) is not None:
            values[name] = getattr(speech2text, name)
    comment = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return comment + yaml.safe_dump(values, sort_keys=False)


def convert_command(candidate: Candidate, point: Point) -> str:
    """Command that makes a stock checkpoint one that can skip at a point's gates."""
    gates = " ".join(map(str, point.setting.gate_layers))
    return f"blankskip convert {candidate.found.source} DST --gate-layers {gates}"


def write_decode_config(path: Path, text: str) -> None:
    """Write it whole or not at all, with its folder."""
    write_whole(path, text)
