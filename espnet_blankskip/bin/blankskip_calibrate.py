"""``blankskip calibrate CHECKPOINT``; see `espnet_blankskip.calibration`.

The exit status is 0 whenever the measurement was made, whatever it says: where
skipping is not advised, the decode config that is written says ``mode: dense``.
"""

import argparse
import math
import shlex
import sys
from pathlib import Path
from typing import List

from espnet_blankskip.bin.recognition_options import add_prompt_options, prompt_options
from espnet_blankskip.terminal import quiet_import

DEFAULT_MAX_UTTERANCES = 200


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="blankskip calibrate",
        description="Measure what layer skipping costs and saves on a checkpoint and "
        "data, draw it, and write the fastest setting within a loss into a decode "
        "config. No training; the checkpoint stays as it is. Where skipping is not "
        "advised, the decode config says 'mode: dense'.",
    )
    parser.add_argument(
        "checkpoint", help="zip, folder, experiment folder, .pth file or zoo tag"
    )
    parser.add_argument(
        "--data", required=True, metavar="WAV_SCP", help="list of audio files"
    )
    parser.add_argument(
        "--text", help="transcripts; without them the dense pass is the reference"
    )
    add_prompt_options(parser)
    parser.add_argument(
        "--gate-layers",
        nargs="+",
        metavar="K",
        help="gate layers to try: '4 6' tries each, '4+6' both at once (every layer "
        "with an intermediate CTC, one at a time)",
    )
    parser.add_argument(
        "--thresholds",
        nargs="+",
        metavar="P",
        help="blank thresholds to try (0.5 0.8 0.9 0.95 0.98 0.99 0.999)",
    )
    parser.add_argument(
        "--spike-extensions",
        nargs="+",
        metavar="N",
        help="frames kept on both sides of a spike, to try (0 1 2)",
    )
    parser.add_argument(
        "--max-points",
        type=int,
        default=64,
        help="refuse a larger grid; the default grid shrinks to it (64)",
    )
    parser.add_argument(
        "--conv-context",
        choices=("stale", "zero"),
        help="what convolutions see at a skipped frame (as trained)",
    )
    parser.add_argument(
        "--attn-context",
        choices=("kept", "all"),
        help="whether skipped frames are attended to (as trained)",
    )
    parser.add_argument(
        "--max-wer-loss",
        type=float,
        default=0.3,
        metavar="POINTS",
        help="WER that may be lost against the dense pass, absolute (0.3)",
    )
    parser.add_argument(
        "--max-utterances",
        type=int,
        default=DEFAULT_MAX_UTTERANCES,
        metavar="N",
        help=f"utterances to use, evenly over the list; 0 takes all "
        f"({DEFAULT_MAX_UTTERANCES})",
    )
    parser.add_argument(
        "--timing-seconds",
        type=float,
        default=60.0,
        help="time to spend on measuring speed, after the accuracy (60)",
    )
    parser.add_argument(
        "--num-threads", type=int, default=1, help="threads of torch (1)"
    )
    parser.add_argument(
        "--output",
        default="calibration",
        metavar="DIR",
        help="folder for frontier.png, frontier.html and points.json (calibration)",
    )
    parser.add_argument(
        "--decode-config",
        metavar="YAML",
        help="where to write the decode config (OUTPUT/decode_calibrated.yaml)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Calibrate, print the tables and write the files.

    Raises:
        ValueError, OSError: the checkpoint, the data or an option cannot be used.
    """
    args = get_parser().parse_args(argv)
    check_options(args)
    try:
        report = quiet_import("espnet_blankskip.calibration.summary")
    except ModuleNotFoundError as error:
        if error.name not in ("jiwer", "matplotlib"):
            raise
        raise ValueError(
            f"needs {error.name}: pip install 'espnet_blankskip[recipe]'"
        ) from None
    command = shlex.join(["blankskip", "calibrate", *argv])
    calibration = calibrate(args, command)

    paths = report.write_outputs(calibration, Path(args.output))
    config = Path(args.decode_config or Path(args.output) / "decode_calibrated.yaml")
    write_config(calibration, config)
    print(report.terminal_text(calibration))
    print("\nwritten: " + ", ".join(str(path) for path in [*paths, config]))
    return 0


def check_options(args: argparse.Namespace) -> None:
    """Check what needs no checkpoint, before one is loaded.

    Raises:
        ValueError: naming the option and its range.
    """
    if not 0.0 <= args.max_wer_loss < math.inf:
        raise ValueError(f"--max-wer-loss {args.max_wer_loss} must be at least 0")
    if not 0.0 <= args.timing_seconds < math.inf:
        raise ValueError(f"--timing-seconds {args.timing_seconds} must be at least 0")
    if args.num_threads < 1:
        raise ValueError(f"--num-threads {args.num_threads} must be at least 1")
    for option, path in (("--data", args.data), ("--text", args.text)):
        if path is not None and not Path(path).is_file():
            raise ValueError(f"{option}: no such file: {path}")
    if Path(args.output).exists() and not Path(args.output).is_dir():
        raise ValueError(f"--output {args.output} is not a folder")


def calibrate(args: argparse.Namespace, command: str):
    """Load, read, measure and judge.

    Args:
        args: options of ``get_parser``.
        command: the command line, to be written beside the results.

    Returns:
        A ``calibration.report.Calibration``.
    """
    import torch

    from espnet_blankskip.calibration import grid as grids
    from espnet_blankskip.calibration import sweep as sweeps
    from espnet_blankskip.calibration.frontier import judge
    from espnet_blankskip.calibration.opening import open_candidate
    from espnet_blankskip.calibration.speech_set import read_speech_set
    from espnet_blankskip.calibration.summary import Calibration

    gates = grids.parse_gates(args.gate_layers)
    thresholds = grids.parse_numbers("--thresholds", args.thresholds, float)
    extensions = grids.parse_numbers("--spike-extensions", args.spike_extensions, int)
    torch.set_num_threads(args.num_threads)
    candidate = open_candidate(
        args.checkpoint, args.conv_context, args.attn_context, **prompt_options(args)
    )
    grid = grids.make_grid(
        candidate.possible_gates, gates, thresholds, extensions, args.max_points
    )
    speech2text = candidate.speech2text
    speech = read_speech_set(
        args.data,
        args.text,
        speech2text.sample_rate,
        speech2text.min_samples,
        args.max_utterances,
    )
    settings = sweeps.count_settings(candidate, grid)
    seconds = sweeps.estimate_seconds(candidate, speech, settings)
    minutes = (seconds + args.timing_seconds) / 60
    print(
        f"calibrate: {len(grid)} points and {settings - len(grid)} full passes on "
        f"{len(speech.utterances)} utterances, about {minutes:.1f} minutes",
        file=sys.stderr,
    )
    sweep = sweeps.measure(candidate, speech, grid, args.timing_seconds)
    verdict = judge(
        sweep.dense, sweep.gates, sweep.points, args.max_wer_loss, speech.has_text
    )
    return Calibration(
        candidate,
        speech,
        sweep,
        verdict,
        args.max_wer_loss,
        args.num_threads,
        command,
    )


def write_config(calibration, path: Path) -> None:
    """Write the decode config."""
    from espnet_blankskip.calibration.decode_config import (
        decode_config,
        write_decode_config,
    )

    text = decode_config(
        calibration.candidate,
        calibration.speech,
        calibration.sweep,
        calibration.verdict,
    )
    write_decode_config(path, text)
