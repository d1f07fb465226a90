"""``blankskip pack EXP ZIP``; see ``espnet_blankskip.zoo.packing_up``."""

import argparse
from typing import List

from espnet_blankskip.terminal import quiet_import


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="blankskip pack",
        description="Pack an experiment as espnet2.bin.pack does, with the plugin's "
        "version in meta.yaml, a requirements.txt and a model card.",
    )
    parser.add_argument("experiment", help="experiment folder")
    parser.add_argument("zip", help="file to write")
    parser.add_argument("--model-file", help="weights to pack (the best average)")
    parser.add_argument(
        "--results", help="measured table for the card (RESULTS.md of the experiment)"
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
