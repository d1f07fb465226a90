"""``blankskip export CHECKPOINT --out DIR``; see ``espnet_blankskip.export``."""

import argparse
from pathlib import Path
from typing import Dict, List, Optional

from espnet_blankskip.bin.recognition_options import (
    ALIASES,
    CHECKPOINT,
    GATE,
    add_options,
)
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.terminal import quiet_import


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip export",
        description="Write a checkpoint as one ONNX file that skips, with its tokens, "
        "for ONNX Runtime, OpenVINO and sherpa-onnx.",
        example="blankskip export exp/asr_x --out model --quantize int8",
        aliases=ALIASES,
    )
    parser.add_argument("checkpoint", help=CHECKPOINT)
    parser.add_argument("--out", required=True, metavar="DIR", help="new folder")
    parser.add_argument(
        "--with-frontend",
        action="store_true",
        help="begin the graph with the waveform (with log-mel features)",
    )
    parser.add_argument(
        "--for",
        dest="program",
        choices=("sherpa-onnx",),
        help="also write what this program's loaders read (none)",
    )
    parser.add_argument(
        "--quantize",
        choices=("int8",),
        help="write a second graph in 8 bits, and compare the two (none)",
    )
    parser.add_argument(
        "--audio",
        nargs="+",
        metavar="INPUT",
        help="to compare them on: files, folders or a list .scp (sound made here)",
    )
    parser.add_argument("--text", metavar="FILE", help="transcripts, 'ID WORDS' (none)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="keep the 8-bit graph although it recognizes worse (refuse it)",
    )
    add_options(parser, GATE)
    return parser


def main(argv: List[str]) -> int:
    """Export and say how to use the result.

    Raises:
        ValueError, OSError: An option, the checkpoint or audio cannot be used.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    with parser.naming_options():
        return export(args)


def export(args: argparse.Namespace) -> int:
    """Export and say how to use the result; as `main`."""
    if (args.audio or args.text or args.force) and not args.quantize:
        raise ValueError("--audio, --text and --force need --quantize")
    package = import_export("espnet_blankskip.export.package")
    folder = Path(args.out)
    exported = package.export_checkpoint(
        args.checkpoint,
        folder,
        with_frontend=args.with_frontend,
        for_sherpa=args.program is not None,
        int8=args.quantize is not None,
        gate={option.name: getattr(args, option.name) for option in GATE},
    )
    for name in exported.manifest.files:
        print(f"{folder / name}: {(folder / name).stat().st_size / 1e6:.1f} MB")
    status = 0
    if args.quantize and not _quantization_is_good(folder, args):
        package.remove_int8(folder)
        status = 1
    if exported.loader is not None:
        print(f"sherpa-onnx, in Python ({exported.loader.note}):")
        print("\n".join(f"  {line}" for line in exported.loader.python(str(folder))))
        print(f"and on the command line:\n  {exported.loader.command(str(folder))}")
    return status


def _quantization_is_good(folder: Path, args) -> bool:
    """Compare the two graphs, print it, and return whether to keep the folder."""
    if is_good_enough(folder, args, dtype="int8") or args.force:
        return True
    print("only the float32 graph is kept (--force keeps both)")
    return False


def is_good_enough(folder: Path, args: argparse.Namespace, **way: str) -> bool:
    """Compare a precision with float32, and print what changes.

    Args:
        folder: What ``blankskip export`` wrote.
        args: With ``audio`` and ``text``.
        **way: ``dtype`` and, other than onnxruntime, ``engine``.

    Returns:
        Whether the loss is within what is allowed; True where there was no speech.
    """
    agreement = import_export("espnet_blankskip.export.agreement")
    audio, references = listed_audio(args.audio), None
    if args.text is not None:
        from espnet_blankskip.kaldi.lists import read_table

        references = read_table(args.text)
    if audio is None:
        from espnet_blankskip.runtime.manifest import read_manifest
        from espnet_blankskip.zoo.fit_sound import made_sound

        rate = read_manifest(folder, []).front_end.sample_rate
        audio = [(f"made {n}", x) for n, x in enumerate(made_sound(rate, 4))]
    found = agreement.compare_precisions(folder, audio, references, after=way)
    kind = "" if args.audio else "sound made here, which is no speech: "
    print(f"{way['dtype']}: {kind}{found}")
    if found.good or not args.audio:
        return True
    print(
        f"{way['dtype']} loses more than {agreement.MAX_WER_LOSS} points of WER, or "
        f"{agreement.MAX_TOKEN_CHANGE:g} % of the tokens without --text"
    )
    return False


def listed_audio(inputs: Optional[List[str]]):
    """(id, path) of audio on the command line; None where there is none."""
    if inputs is None:
        return None
    from espnet_blankskip.transcripts.inputs import list_utterances

    return [(u.utt_id, u.path) for u in list_utterances(inputs, (), True)]


def import_export(module: str):
    """Import a module that writes or runs graphs.

    Raises:
        ValueError: A package is missing; the message says how to install it.
    """
    try:
        return quiet_import(module)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        raise ValueError(
            f"needs {_NEEDED[error.name]}: pip install 'espnet_blankskip[export]'"
        ) from None


_NEEDED: Dict[str, str] = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
