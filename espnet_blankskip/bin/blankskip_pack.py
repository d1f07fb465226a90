"""``blankskip pack EXP ZIP``; see ``espnet_blankskip.zoo.packing_up``."""

from typing import List

from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.terminal import quiet_import


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip pack",
        description="Pack an experiment as espnet2.bin.pack does, with the plugin's "
        "version in meta.yaml, a requirements.txt and a model card.",
        example="blankskip pack exp/asr_x asr_x.zip",
    )
    parser.add_argument("experiment", help="experiment folder")
    parser.add_argument("zip", help="file to write")
    parser.add_argument(
        "--model-file", metavar="PTH", help="weights to pack (the best average)"
    )
    parser.add_argument(
        "--results",
        metavar="MD",
        help="measured table for the card (RESULTS.md of the experiment)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Pack.

    Raises:
        ValueError: the experiment cannot be packed.
    """
    args = get_parser().parse_args(argv)
    packing_up = quiet_import("espnet_blankskip.zoo.packing_up")
    found = packing_up.pack_checkpoint(
        args.experiment, args.zip, args.results, args.model_file
    )
    print(f"{args.zip}: {found.encoder}, {found.model_file}")
    return 0
