"""``blankskip calibrate CHECKPOINT``; see `espnet_blankskip.calibration`.

The exit status is 0 whenever the measurement was made, whatever it says: where
skipping is not advised, the decode config that is written says ``mode: dense``.
"""

import argparse
import math
import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

from espnet_blankskip.bin.recognition_options import (
    CHECKPOINT,
    GATE,
    PROMPT,
    PROMPT_ALIASES,
    SEARCH,
    add_decode_config,
    add_options,
    add_prompt_options,
    decoding_options,
)
from espnet_blankskip.calibration.grid import ATTENTION, GRIDS, MAX_POINTS
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.decoding.decode_config import take_options
from espnet_blankskip.gate_options import GATE_OPTIONS
from espnet_blankskip.kaldi.whole_file import try_to_write
from espnet_blankskip.locks import locked
from espnet_blankskip.option_values import as_number, checked_count
from espnet_blankskip.terminal import quiet_import

DEFAULT_MAX_UTTERANCES = 200
#: What earlier versions called options.
ALIASES = {
    "--thresholds": ["--blank-threshold"],
    "--spike-extensions": ["--spike-extension"],
    **PROMPT_ALIASES,
}
#: What is tried where nothing is given.
TRIED = {
    "gate_layers": "every layer with an intermediate CTC, one at a time",
    "blank_threshold": f"{' '.join(map(str, GRIDS[0][0]))}; fewer with many gates",
    "spike_extension": f"{' '.join(map(str, GRIDS[0][1]))}; fewer with many gates",
    "conv_context": "as trained",
    "attn_context": " ".join(ATTENTION),
}
SEARCHED = [option.name for option in SEARCH if option.name != "nbest"]
DECODING = [*SEARCHED, *PROMPT]


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip calibrate",
        description="Measure what layer skipping costs and saves on a checkpoint and "
        "data, draw it, and write the fastest setting within a loss into a decode "
        "config. No training; the checkpoint stays as it is. Where skipping is not "
        "advised, the decode config says 'mode: dense'.",
        example="blankskip calibrate exp/asr_x --data dump/raw/dev/wav.scp --text "
        "dump/raw/dev/text --gate-layers 4 6 4,6",
        aliases=ALIASES,
    )
    parser.add_argument("checkpoint", help=CHECKPOINT)
    parser.add_argument(
        "--data", required=True, metavar="WAV_SCP", help="list of audio files"
    )
    parser.add_argument(
        "--text",
        metavar="TEXT",
        help="list of transcripts (none: the dense pass is the reference)",
    )
    add_options(parser, GATE, several=GATE_OPTIONS, defaults=TRIED)
    parser.add_argument(
        "--max-points",
        default=MAX_POINTS,
        metavar="N",
        help=f"refuse a larger grid; the default grid shrinks to it ({MAX_POINTS})",
    )
    parser.add_argument(
        "--max-wer-loss",
        default=0.3,
        metavar="POINTS",
        help="WER that may be lost against the dense pass, absolute, in percent (0.3)",
    )
    parser.add_argument(
        "--max-utterances",
        default=DEFAULT_MAX_UTTERANCES,
        metavar="N",
        help=f"utterances to use, evenly over the list; 0 takes all "
        f"({DEFAULT_MAX_UTTERANCES})",
    )
    parser.add_argument(
        "--timing-seconds",
        default=60.0,
        metavar="SECONDS",
        help="time to spend on measuring speed, after the accuracy (60)",
    )
    parser.add_argument(
        "--num-threads", default=1, metavar="N", help="threads of torch (1)"
    )
    add_decode_config(parser)
    add_options(parser, [option for option in SEARCH if option.name in SEARCHED])
    add_prompt_options(parser)
    parser.add_argument(
        "--output",
        default="calibration",
        metavar="DIR",
        help="folder for frontier.png, frontier.html and points.json (calibration)",
    )
    parser.add_argument(
        "--output-config",
        metavar="YAML",
        help="where to write the decode config (OUTPUT/decode_calibrated.yaml)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Calibrate, print the tables and write the files.

    Raises:
        ValueError, OSError: the checkpoint, the data or an option cannot be used.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    command = shlex.join(["blankskip", "calibrate", *argv])
    with parser.naming_options():
        check_options(args)
        return run(args, decoding_options(parser, args, DECODING), command)


def run(args: argparse.Namespace, options: Dict[str, Any], command: str) -> int:
    """Calibrate, print the tables and write the files.

    Args:
        args: options of ``get_parser``, checked.
        options: those of the recognizer.
        command: the command line, to be written beside the results.

    Raises:
        ValueError, OSError: as ``main``.
    """
    try:
        report = quiet_import("espnet_blankskip.calibration.summary")
    except ModuleNotFoundError as error:
        if error.name not in ("jiwer", "matplotlib"):
            raise
        raise ValueError(
            f"needs {error.name}: pip install 'espnet_blankskip[recipe]'"
        ) from None
    output = Path(args.output)
    with locked(output, "blankskip calibrate"):
        for path in report.output_paths(output, Path(args.output_config)):
            try_to_write(path)  # before anything is measured for it
        calibration = calibrate(args, options, command)
        # on the terminal first: the disk may be full by now
        print(report.terminal_text(calibration), flush=True)
        paths = report.write_outputs(calibration, output)
    print("\nwritten: " + ", ".join(map(str, paths)))
    return 0


def check_options(args: argparse.Namespace) -> None:
    """Check what needs no checkpoint, before one is loaded.

    Raises:
        ValueError: naming the option and its range.
    """
    for name in ("max_wer_loss", "timing_seconds"):
        number = as_number(getattr(args, name))
        if not 0.0 <= number < math.inf:
            raise ValueError(f"{name}={getattr(args, name)} must be at least 0")
        setattr(args, name, number)
    for name, least in (("max_utterances", 0), ("num_threads", 1), ("max_points", 1)):
        setattr(args, name, checked_count(name, getattr(args, name), least))
    if args.output_config is None:
        args.output_config = str(Path(args.output) / "decode_calibrated.yaml")
    if args.decode_config is not None and not Path(args.decode_config).is_file():
        raise ValueError(
            f"decode_config={args.decode_config}: no such file to decode by (what "
            "calibrate finds is written to --output-config)"
        )
    for option, path in (("--data", args.data), ("--text", args.text)):
        if path is not None and not Path(path).is_file():
            raise ValueError(f"{option}: no such file: {path}")
    if Path(args.output).exists() and not Path(args.output).is_dir():
        raise ValueError(f"output={args.output} is not a folder")


def alternatives(name: str, words: Sequence[str]) -> List[str]:
    """Values to try, as they were typed.

    Layers of one gate list are joined by commas. Of the others, earlier versions took
    commas between alternatives, and of layers a plus within a list.
    """
    if name == "gate_layers":
        return [word.replace("+", ",") for word in words]
    return " ".join(words).replace(",", " ").split()


def calibrate(args: argparse.Namespace, options: Dict[str, Any], command: str):
    """Load, read, measure and judge.

    Args:
        args, options, command: as for ``run``.

    Returns:
        A ``calibration.summary.Calibration``.
    """
    import torch

    from espnet_blankskip.calibration import grid as grids
    from espnet_blankskip.calibration import sweep as sweeps
    from espnet_blankskip.calibration.frontier import judge
    from espnet_blankskip.calibration.opening import open_candidate
    from espnet_blankskip.calibration.speech_set import read_speech_set
    from espnet_blankskip.calibration.summary import Calibration

    torch.set_num_threads(args.num_threads)
    gate, search, others = take_options(options)
    if others.get("dtype", "float32") != "float32":
        raise ValueError(f"dtype={others['dtype']}: calibrate measures float32 alone")
    prompt = {name: others[name] for name in PROMPT if name in others}
    candidate = open_candidate(args.checkpoint, search=search, **prompt)
    tried = {name: [value] for name, value in gate.given().items() if name != "mode"}
    for option in GATE:
        if getattr(args, option.name) is not None:
            tried[option.name] = alternatives(option.name, getattr(args, option.name))
    grid = grids.make_grid(
        candidate.possible_gates,
        candidate.speech2text.gate_options,
        tried,
        args.max_points,
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
        Path(args.output_config),
    )
