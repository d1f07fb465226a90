"""A verdict as a decode config, and as commands."""

import shlex
import time
from dataclasses import replace
from pathlib import Path

import yaml

from espnet_blankskip.calibration.frontier import SKIP, Point, Verdict
from espnet_blankskip.calibration.opening import Candidate
from espnet_blankskip.calibration.speech_set import SpeechSet
from espnet_blankskip.calibration.sweep import Sweep


def decode_config(
    candidate: Candidate, speech: SpeechSet, sweep: Sweep, verdict: Verdict
) -> str:
    """Return a config for ``--decode-config`` and ``run.sh --inference_config``.

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
    values = {"mode": "dense"}
    if verdict.kind == SKIP:
        point = verdict.point
        lines.append(
            f"WER {point.wer:.2f} % (dense {sweep.dense.wer:.2f} %), "
            f"{point.kept:.1f} % of the frames kept, {point.speed_up:.2f}x as fast."
        )
        if candidate.needs_conversion:
            command = convert_command(candidate, point)
            lines.append(f"For the converted checkpoint: {command}")
        values = point.setting.given()
    speech2text = candidate.speech2text
    values = {**values, "batch_size": 1, **speech2text.search_options.given()}
    for name in ("lang_sym", "task_sym"):  # what the calibration holds for
        if getattr(speech2text, name) is not None:
            values[name] = getattr(speech2text, name)
    comment = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return comment + yaml.safe_dump(values, sort_keys=False)


def convert_command(candidate: Candidate, point: Point) -> str:
    """Command that makes a stock checkpoint one that skips as a point does."""
    flags = replace(point.setting, mode=None).flags()
    source = candidate.found.source
    return shlex.join(["blankskip", "convert", source, "DST", *flags])


def transcribe_command(candidate: Candidate, config: Path) -> str:
    """Command that decodes by the decode config that was written."""
    model = "DST" if candidate.needs_conversion else candidate.found.source
    options = ["--model", model, "--decode-config", str(config)]
    return shlex.join(["blankskip", "transcribe", "AUDIO", *options])
