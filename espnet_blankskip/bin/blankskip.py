"""The ``blankskip`` command: what its users do with checkpoints, one verb each.

A verb is a module with ``main(argv) -> int`` and an argparse parser of its own
(``prog="blankskip VERB"``). Modules are imported when their verb is asked for, so that
``blankskip --help`` does not wait for torch. A ``ValueError`` or ``OSError`` that
leaves ``main`` is the user's to mend: one line on stderr and exit status 2.
"""

import importlib
import sys
import warnings
from typing import List, Optional

from espnet_blankskip.espnet_version import ESPnetUnusable

# verb -> (module, one-line help)
COMMANDS = {
    "transcribe": (
        "espnet_blankskip.bin.blankskip_transcribe",
        "write down what is said in audio files",
    ),
    "show": (
        "espnet_blankskip.bin.blankskip_show",
        "draw one file: spectrogram, words, and how deep each frame ran",
    ),
    "inspect": (
        "espnet_blankskip.bin.blankskip_inspect",
        "say what a checkpoint is and what can be skipped in it",
    ),
    "convert": (
        "espnet_blankskip.bin.blankskip_convert",
        "write a checkpoint again as a blankskip one",
    ),
    "calibrate": (
        "espnet_blankskip.bin.blankskip_calibrate",
        "measure what skipping costs and saves, and choose a gate setting",
    ),
    "pack": (
        "espnet_blankskip.bin.blankskip_pack",
        "pack an experiment into a zip with its requirements and a model card",
    ),
    "export": (
        "espnet_blankskip.bin.blankskip_export",
        "write a checkpoint as one ONNX file that skips",
    ),
    "verify": (
        "espnet_blankskip.bin.blankskip_verify",
        "hold an exported model against its checkpoint",
    ),
}


def usage() -> str:
    """The text of ``blankskip --help``."""
    width = max(map(len, COMMANDS))
    verbs = "\n".join(
        f"  {verb:{width}}  {summary}" for verb, (_, summary) in COMMANDS.items()
    )
    return (
        "usage: blankskip COMMAND [OPTION ...]\n\n"
        "ESPnet checkpoints whose blank frames leave the encoder early.\n\n"
        f"commands:\n{verbs}\n\n"
        "`blankskip COMMAND --help` lists a command's options.\n"
    )


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command.

    Args:
        argv: the command and its arguments; None takes ``sys.argv[1:]``.

    Returns:
        Exit status: 0; 1 where a command did only a part of its work; 2 where the
        arguments or files cannot be used.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage(), end="", file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] == "--version":
        from espnet_blankskip.version import __version__

        print(f"espnet_blankskip {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"blankskip: no command {argv[0]!r} (known: {known})", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", category=FutureWarning)  # inside ESPnet
    try:
        command = importlib.import_module(COMMANDS[argv[0]][0])
        return command.main(argv[1:]) or 0
    except BrokenPipeError:
        return 0  # the reader, such as head, has seen enough
    except (ValueError, OSError, ESPnetUnusable) as error:
        print(f"blankskip {argv[0]}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
