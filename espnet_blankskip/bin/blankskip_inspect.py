"""``blankskip inspect CHECKPOINT``; see ``espnet_blankskip.zoo.inspection``."""

import json
from typing import List

from espnet_blankskip.bin.recognition_options import CHECKPOINT
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.terminal import quiet_import


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip inspect",
        description="Say what a checkpoint is and what can be skipped in it. "
        "Reads the config and the weights; builds and runs nothing.",
        example="blankskip inspect exp/asr_x --kept 0.3",
    )
    parser.add_argument("checkpoint", help=CHECKPOINT)
    parser.add_argument(
        "--kept",
        type=float,
        nargs="+",
        default=(0.2, 0.3, 0.5),
        metavar="SHARE",
        help="shares of kept frames to estimate the speed-up for (0.2 0.3 0.5)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON (text)")
    return parser


def main(argv: List[str]) -> int:
    """Print the inspection.

    Raises:
        ValueError: the checkpoint cannot be opened or trusted.
    """
    args = get_parser().parse_args(argv)
    inspection = quiet_import("espnet_blankskip.zoo.inspection")
    found = inspection.inspect_checkpoint(args.checkpoint, args.kept)
    if args.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print(inspection.describe(found))
    return 0
