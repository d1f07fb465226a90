"""``blankskip verify DIR --against CHECKPOINT``; see ``espnet_blankskip.export``."""

import argparse
from pathlib import Path
from typing import List

from espnet_blankskip.bin.blankskip_export import (
    import_export,
    is_good_enough,
    listed_audio,
)
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.runtime.engines import ENGINES, PRECISIONS


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip verify",
        description="Check that an exported model keeps the same frames, gives the "
        "same log-probabilities and the same transcripts as its checkpoint, or what a "
        "lower precision changes.",
        example="blankskip verify model --against exp/asr_x",
    )
    parser.add_argument("folder", help="what blankskip export wrote")
    parser.add_argument(
        "--against", required=True, metavar="CHECKPOINT", help="what it was made from"
    )
    parser.add_argument(
        "--audio",
        nargs="+",
        metavar="INPUT",
        help="to compare them on: files, folders or a list .scp (sound made here)",
    )
    parser.add_argument(
        "--engine", choices=ENGINES, help="what runs the exported model (onnxruntime)"
    )
    parser.add_argument(
        "--precision",
        dest="dtype",
        choices=sorted({name for names in PRECISIONS.values() for name in names}),
        default="float32",
        help="a lower one is compared with float32 in words and frames (float32)",
    )
    parser.add_argument(
        "--text",
        metavar="FILE",
        help="transcripts, 'ID WORDS', to compare a lower precision by (none)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Compare, and return 1 where they differ.

    Raises:
        ValueError, OSError: The folder, checkpoint or audio cannot be used.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    with parser.naming_options():
        return compare(args)


def compare(args: argparse.Namespace) -> int:
    """Compare; as `main`."""
    folder, exact = Path(args.folder), args.dtype == "float32"
    if args.text is not None and (exact or args.audio is None):
        raise ValueError("--text needs --audio and a --precision below float32")
    having = [name for name in ENGINES if args.dtype in PRECISIONS[name]]
    engine = args.engine or having[0]
    verification = import_export("espnet_blankskip.export.verification")
    if not exact:
        verification.check_source(folder, args.against)
        way = dict(engine=engine, dtype=args.dtype)
        return 0 if is_good_enough(folder, args, **way) else 1
    audio = listed_audio(args.audio)
    found = verification.verify(folder, args.against, audio, engine)
    if found.difference is not None:
        print(f"different: {found.difference}")
        return 1
    print(
        f"the same: {found.utterances} utterances, {found.frames} frames, {found.kept} "
        f"of them kept, log-probabilities within {found.largest:.1e} ({engine}, "
        "float32)"
    )
    return 0
