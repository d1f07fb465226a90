"""``blankskip verify DIR --against CHECKPOINT``; see ``espnet_blankskip.export``."""

from pathlib import Path
from typing import List

from espnet_blankskip.bin.blankskip_export import import_export, listed_audio
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.runtime.engines import ENGINES


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip verify",
        description="Check that an exported model keeps the same frames, gives the "
        "same log-probabilities and the same transcripts as its checkpoint.",
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
        "--engine",
        choices=ENGINES,
        default="onnxruntime",
        help="what runs the exported model (onnxruntime)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Compare, and return 1 where they differ.

    Raises:
        ValueError, OSError: The folder, checkpoint or audio cannot be used.
    """
    args = get_parser().parse_args(argv)
    verification = import_export("espnet_blankskip.export.verification")
    audio = listed_audio(args.audio)
    found = verification.verify(Path(args.folder), args.against, audio, args.engine)
    if found.difference is not None:
        print(f"different: {found.difference}")
        return 1
    print(
        f"the same: {found.utterances} utterances, {found.frames} frames, {found.kept} "
        f"of them kept, log-probabilities within {found.largest:.1e} ({args.engine}, "
        "float32)"
    )
    return 0
