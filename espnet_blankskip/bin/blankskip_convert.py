"""``blankskip convert SRC DST``; see ``espnet_blankskip.zoo.conversion``."""

import argparse
import os
from typing import List

from espnet_blankskip.terminal import quiet_import


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="blankskip convert",
        description="Write a checkpoint again as a blankskip one, in a new experiment "
        "folder that ESPnet's commands load through the plugin.",
    )
    parser.add_argument("source", help="zip, folder, experiment, .pth file or zoo tag")
    parser.add_argument("target", help="new experiment folder")
    parser.add_argument(
        "--gate-layers",
        type=int,
        nargs="+",
        required=True,
        metavar="K",
        help="layers after which blank frames leave, 1-based",
    )
    parser.add_argument(
        "--gate-head",
        choices=("auto", "ctc", "own"),
        default="auto",
        help="what reads the gate; auto: the CTC head where an intermediate CTC was "
        "trained, else a head of its own, fitted to the final layer's blanks",
    )
    parser.add_argument(
        "--factorized", action="store_true", help="make the CTC head a factorized one"
    )
    parser.add_argument("--blank-threshold", type=float)
    parser.add_argument("--spike-extension", type=int)
    parser.add_argument("--conv-context", choices=("stale", "zero", "packed"))
    parser.add_argument("--attn-context", choices=("kept", "all"))
    parser.add_argument(
        "--fit-audio",
        metavar="WAV_SCP",
        help="speech to fit new weights on and to report on; without it, made sound",
    )
    return parser


def main(argv: List[str]) -> int:
    """Convert and print the report.

    Raises:
        ValueError: the checkpoint or an option cannot be used.
    """
    args = get_parser().parse_args(argv)
    values = vars(args)
    source, target = values.pop("source"), os.path.normpath(values.pop("target"))
    conversion = quiet_import("espnet_blankskip.zoo.conversion")
    card = quiet_import("espnet_blankskip.zoo.conversion_card")
    report = conversion.convert_checkpoint(
        source, target, conversion.ConversionOptions(**values)
    )
    print(f"{source} -> {target}")
    print("\n".join(card.summary_lines(report)))
    return 0
