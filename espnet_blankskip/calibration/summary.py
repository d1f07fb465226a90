"""A calibration in words and tables: for the terminal, the page and programs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

from espnet_blankskip.calibration.advice import (
    convert_command,
    decode_config,
    transcribe_command,
)
from espnet_blankskip.calibration.chart import Chart, make_chart
from espnet_blankskip.calibration.frontier import (
    SKIP,
    UNJUDGED,
    Layer,
    Point,
    Verdict,
    pareto,
)
from espnet_blankskip.calibration.grid import name_of
from espnet_blankskip.calibration.opening import Candidate
from espnet_blankskip.calibration.page import page
from espnet_blankskip.calibration.picture import draw_frontier
from espnet_blankskip.calibration.speech_set import SpeechSet
from espnet_blankskip.calibration.sweep import Sweep
from espnet_blankskip.evaluation.results_file import environment, markdown_table
from espnet_blankskip.gate_options import layers_in_words
from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.terminal import first_of

PICTURE, PAGE, POINTS = "frontier.png", "frontier.html", "points.json"
#: So few utterances say little about speed.
FEW_TIMED = 2
SETTING_COLUMNS = ("gate", "threshold", "extension", "attn", "conv")


@dataclass(frozen=True)
class Calibration:
    """Everything there is to say.

    Attributes:
        candidate: the checkpoint.
        speech: the data.
        sweep: the measurements.
        verdict: what to do.
        max_wer_loss: the loss that was allowed.
        num_threads: threads of torch.
        command: the command line.
        config: where the decode config is written.
    """

    candidate: Candidate
    speech: SpeechSet
    sweep: Sweep
    verdict: Verdict
    max_wer_loss: float
    num_threads: int
    command: str
    config: Path

    @property
    def wer_name(self) -> str:
        """Heading of a WER column; says what it is measured against."""
        return "WER %" if self.speech.has_text else "WER % against dense"

    @property
    def title(self) -> str:
        """The checkpoint and the data."""
        found = self.candidate.found
        model = f" ({found.model_file})"
        if found.source.endswith(found.model_file):
            model = ""
        return f"{found.source}{model} on {self.speech.name}"


def terminal_text(c: Calibration) -> str:
    """Return what the command prints."""
    best = pareto(c.sweep.points, c.sweep.dense)
    shown = best or c.sweep.points
    heading = "Frontier: no other point is both faster and better"
    if not best:
        heading = "No point is faster or better than the dense pass"
    lines = [
        c.title,
        f"{data_line(c)}",
        "",
        "Final and intermediate layer on every frame, before anything is skipped:",
        "",
        _markdown(layer_rows(c)),
        "",
        f"{heading} ({len(best)} of {len(c.sweep.points)} measured):",
        "",
        _markdown(point_rows(c, shown)),
        "",
        timing_line(c),
        *caution_lines(c),
        "",
        f"{c.verdict.kind}: {c.verdict.reason}",
    ]
    if c.verdict.kind == SKIP:
        lines += advice_lines(c)
    return "\n".join(lines)


def layer_rows(c: Calibration) -> List[List[str]]:
    """Header and rows of the final and intermediate layers."""
    dense = c.sweep.dense
    rows = [["frames stop at", c.wer_name, "encoder RTF", "speed-up"]]
    rows.append(_layer_row(f"layer {dense.number} (final, dense)", dense))
    rows += [_layer_row(f"layer {g.number} (intermediate)", g) for g in c.sweep.gates]
    return rows


def _layer_row(name: str, layer: Layer) -> List[str]:
    return [
        name,
        f"{layer.wer:.2f}",
        f"{layer.encoder_rtf:.4f}",
        f"{layer.speed_up:.2f}x",
    ]


def point_rows(c: Calibration, points: Sequence[Point]) -> List[List[str]]:
    """Header and one row per point; the recommended one is starred."""
    measures = (c.wer_name, "loss", "kept %", "encoder RTF", "speed-up")
    rows = [[*SETTING_COLUMNS, *measures]]
    for p in points:
        star = " *" if p is c.verdict.point else ""
        rows.append(
            [
                f"{layers_in_words(p.setting.gate_layers)}{star}",
                f"{p.setting.blank_threshold:g}",
                str(p.setting.spike_extension),
                p.setting.attn_context,
                p.setting.conv_context,
                f"{p.wer:.2f}",
                f"{p.wer - c.sweep.dense.wer:+.2f}",
                f"{p.kept:.1f}",
                f"{p.encoder_rtf:.4f}",
                f"{p.speed_up:.2f}x",
            ]
        )
    return rows


def data_line(c: Calibration) -> str:
    """The data in one line."""
    speech = c.speech
    line = (
        f"{len(speech.utterances)} of {speech.listed} utterances, "
        f"{speech.seconds / 60:.1f} minutes, {c.sweep.words} words"
    )
    if speech.failed:
        line += f", {len(speech.failed)} left out"
    if not speech.has_text:
        line += "; no transcripts: the dense pass is the reference"
    return line


def timing_line(c: Calibration) -> str:
    """How speed was measured, in one line."""
    beam = c.candidate.speech2text.search_options.beam_size
    search = "greedy search" if beam == 1 else f"search with beam {beam}"
    threads = f"{c.num_threads} thread" + "s" * (c.num_threads > 1)
    return (
        f"Speed-up: front-end, encoder, CTC head and {search} against the dense "
        f"pass, {threads} of the CPU, one utterance at a time, all settings taking "
        f"turns; medians of {c.sweep.repeats} repeats on {c.sweep.timed} utterances."
    )


def caution_lines(c: Calibration) -> List[str]:
    """What the numbers cannot tell."""
    lines = []
    one_word = 100.0 / max(1, c.sweep.words)
    if one_word > c.max_wer_loss:
        lines.append(
            f"Caution: one wrong word is {one_word:.2f} WER here, more than "
            f"--max-wer-loss {c.max_wer_loss:g}: use more data before relying on this."
        )
    if c.sweep.timed <= FEW_TIMED:
        listed = len(c.speech.utterances)
        more = "more data" if c.sweep.timed == listed else "more --timing-seconds"
        lines.append(
            f"Caution: speed was measured on {c.sweep.timed} of {listed} utterances, "
            f"too few to tell settings apart: give {more}."
        )
    for gate in c.sweep.gates if c.verdict.kind != UNJUDGED else ():
        if gate.wer < c.sweep.dense.wer:
            lines.append(
                f"Caution: layer {gate.number} alone makes fewer errors than the final "
                "layer, which may be chance: with more data it may turn out that the "
                "deep layers are not trained yet."
            )
    if not c.speech.has_text:
        lines.append(
            "Caution: without transcripts it cannot be seen whether the checkpoint is "
            "any good, nor whether a gate layer is better than the final one."
        )
    if not c.candidate.reads_labels_at_gate:
        lines.append(
            "The gate has a head of its own, which predicts blank and no labels, so "
            "there is no intermediate WER."
        )
    if c.speech.failed:
        failed = c.speech.failed
        lines.append(
            f"Left out {len(failed)} utterances: {first_of(failed)} (see {POINTS})."
        )
    return lines


def advice_lines(c: Calibration) -> List[str]:
    """What to do with a recommended point."""
    point, dense = c.verdict.point, c.sweep.dense
    lines = [
        f"  {name_of(point.setting)}: WER {point.wer:.2f} % "
        f"({point.wer - dense.wer:+.2f}), {point.kept:.1f} % of the frames kept, "
        f"{point.speed_up:.2f}x as fast",
        "  It was chosen on this data; confirm it on a set that it was not chosen on.",
    ]
    for gate in c.sweep.gates:
        enough = gate.wer <= dense.wer + c.max_wer_loss + 1e-9
        if enough and gate.speed_up > point.speed_up:
            lines.append(
                f"  Note: layer {gate.number} alone is within the loss too, at "
                f"{gate.speed_up:.2f}x (mode: intermediate)."
            )
    lines.append("  To decode so:")
    if c.candidate.needs_conversion:
        lines.append(f"    {convert_command(c.candidate, point)}")
    lines.append(f"    {transcribe_command(c.candidate, c.config)}")
    return lines


def output_paths(folder: Path, config: Path) -> List[Path]:
    """What a calibration writes: picture, page, points and decode config."""
    return [folder / PICTURE, folder / PAGE, folder / POINTS, config]


def write_outputs(c: Calibration, folder: Path) -> List[Path]:
    """Write picture, page, points and decode config; return their paths.

    Raises:
        OSError: it cannot be written to.
    """
    chart = make_chart(c.sweep, c.verdict, c.max_wer_loss)
    against = "" if c.speech.has_text else ", against its own output"
    y_label = (
        f"WER points lost (dense: {c.sweep.dense.wer:.2f} %{against}; lower is better)"
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = output_paths(folder, c.config)
    name = Path(c.candidate.found.source).name
    title = f"{name}: what skipping saves and costs"
    draw_frontier(chart, title, y_label, paths[0])
    write_whole(paths[1], _page(c, chart, y_label))
    write_whole(paths[2], json.dumps(to_dict(c), indent=2) + "\n")
    write_whole(paths[3], decode_config(c.candidate, c.speech, c.sweep, c.verdict))
    return paths


def _page(c: Calibration, chart: Chart, y_label: str) -> str:
    sentence = f"{c.verdict.kind}: {c.verdict.reason}."
    if c.verdict.point is not None:
        sentence = f"{name_of(c.verdict.point.setting)}: {c.verdict.reason}."
    return page(
        title=c.title,
        chart=chart,
        y_label=y_label,
        dense_wer=c.sweep.dense.wer,
        verdict=("skip" if c.verdict.kind == SKIP else "no", sentence),
        layer_table=layer_rows(c),
        point_table=point_rows(c, [m.point for m in chart.marks]),
        notes=[
            data_line(c),
            timing_line(c),
            *caution_lines(c),
            *(f"{name}: {value}" for name, value in environment(c.num_threads)),
            f"command: {c.command}",
        ],
    )


def to_dict(c: Calibration) -> dict:
    """Plain values of everything that was measured, for JSON."""
    best = pareto(c.sweep.points, c.sweep.dense)
    return {
        "checkpoint": c.candidate.found.source,
        "model_file": c.candidate.found.model_file,
        "data": c.speech.name,
        "wer_against": "transcripts" if c.speech.has_text else "dense",
        "utterances": len(c.speech.utterances),
        "words": c.sweep.words,
        "failed": c.speech.failed,
        "max_wer_loss": c.max_wer_loss,
        "verdict": c.verdict.kind,
        "reason": c.verdict.reason,
        "dense": _layer_dict(c.sweep.dense),
        "intermediate": [_layer_dict(g) for g in c.sweep.gates],
        "points": [
            {
                **p.setting.given(),
                "wer": p.wer,
                "kept": p.kept,
                "encoder_rtf": p.encoder_rtf,
                "speed_up": p.speed_up,
                "on_frontier": p in best,
                "recommended": p is c.verdict.point,
            }
            for p in c.sweep.points
        ],
        "timed_utterances": c.sweep.timed,
        "timing_repeats": c.sweep.repeats,
        "environment": dict(environment(c.num_threads)),
        "command": c.command,
    }


def _layer_dict(layer: Layer) -> dict:
    return {
        "layer": layer.number,
        "wer": layer.wer,
        "encoder_rtf": layer.encoder_rtf,
        "speed_up": layer.speed_up,
    }


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return markdown_table(rows[0], rows[1:])
