"""Options of the commands that recognize speech."""

import argparse
from typing import Any, Dict, List


def add_recognition_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which model listens, and how deep its frames run."""
    parser.add_argument(
        "--model",
        required=True,
        help="zip, folder, experiment folder, .pth file or zoo tag",
    )
    add_prompt_options(parser)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--dense", action="store_true", help="run all frames through all layers"
    )
    depth.add_argument(
        "--intermediate", action="store_true", help="stop all frames at the first gate"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="blank probability from which a frame skips (as trained)",
    )
    parser.add_argument(
        "--gate-layers",
        type=layer_numbers,
        metavar="K,...",
        help="layers after which frames skip (as trained)",
    )
    parser.add_argument(
        "--channel",
        type=int,
        metavar="N",
        help="channel to hear, from 0 (average of all)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (cpu)")


def recognition_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Return them as options of ``BlankSkipSpeech2Text``, but for the model."""
    return dict(
        device=args.device,
        mode="dense" if args.dense else "intermediate" if args.intermediate else None,
        blank_threshold=args.threshold,
        gate_layers=args.gate_layers,
        channel=args.channel,
        **prompt_options(args),
    )


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a model of OWSM-CTC's kind is asked for."""
    parser.add_argument(
        "--lang",
        metavar="ISO",
        help="language of the speech such as eng, for OWSM-CTC (found out by it)",
    )
    parser.add_argument(
        "--task",
        metavar="TASK",
        help="asr, or a translation such as st_deu, for OWSM-CTC (asr)",
    )


def prompt_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Return them as options of ``BlankSkipSpeech2Text``."""
    return dict(lang_sym=args.lang, task_sym=args.task)


def layer_numbers(text: str) -> List[int]:
    """Read "4" or "4,8"; a list of words would swallow the files after it."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of layers such as 4 or 4,8"
        ) from None
