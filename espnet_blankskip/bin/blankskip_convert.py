"""``blankskip convert SRC DST``; see ``espnet_blankskip.zoo.conversion``."""

import os
from typing import List

from espnet_blankskip.bin.recognition_options import CHECKPOINT, GATE, add_options
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.gate_options import DEFAULTS
from espnet_blankskip.terminal import quiet_import


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip convert",
        description="Write a checkpoint again as a blankskip one, in a new experiment "
        "folder that ESPnet's commands load through the plugin.",
        example="blankskip convert exp/asr_x exp/asr_y --gate-layers 4 --fit-audio "
        "dump/raw/dev/wav.scp",
    )
    parser.add_argument("source", help=CHECKPOINT)
    parser.add_argument("target", help="new experiment folder")
    kept = {n: f"the checkpoint's, else {v}" for n, v in DEFAULTS.given().items()}
    add_options(parser, GATE, defaults={**kept, "gate_layers": "required"})
    parser.add_argument(
        "--gate-head",
        choices=("auto", "ctc", "own"),
        default="auto",
        help="what reads the gate; auto: the CTC head where an intermediate CTC was "
        "trained, else a head of its own, fitted to the final layer's blanks (auto)",
    )
    parser.add_argument(
        "--factorized",
        action="store_true",
        help="make the CTC head a factorized one (as it is)",
    )
    parser.add_argument(
        "--fit-audio",
        metavar="WAV_SCP",
        help="list of speech to fit new weights on and to report on (made sound)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Convert and print the report.

    Raises:
        ValueError: the checkpoint or an option cannot be used.
    """
    parser = get_parser()
    values = vars(parser.parse_args(argv))
    source, target = values.pop("source"), os.path.normpath(values.pop("target"))
    if values["gate_layers"] is None:
        parser.error("--gate-layers is required, such as --gate-layers 4")
    conversion = quiet_import("espnet_blankskip.zoo.conversion")
    card = quiet_import("espnet_blankskip.zoo.conversion_card")
    with parser.naming_options():
        options = conversion.ConversionOptions(**values)
        report = conversion.convert_checkpoint(source, target, options)
    print(f"{source} -> {target}")
    print("\n".join(card.summary_lines(report)))
    return 0
