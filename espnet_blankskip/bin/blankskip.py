"""The ``blankskip`` command: what its users do with checkpoints, one verb each.

A verb is a module with ``main(argv) -> int`` and an argparse parser of its own
(``prog="blankskip VERB"``). Modules are imported when their verb is asked for, so that
``blankskip --help`` does not wait for torch. A ``ValueError`` or ``OSError`` that
leaves ``main`` is one line on stderr, and the exit status that `exit_status` gives it.
"""

import difflib
import importlib
import sys
import warnings
from typing import List, Optional

from espnet_blankskip.espnet_version import INSTALL, ESPnetUnusable
from espnet_blankskip.exit_status import UNUSABLE_FILES, USAGE, run_command

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
        Exit status: 0; 1 where a command failed, or did only a part of its work; 2
        where the arguments, or files that they name, cannot be used; 130 after Ctrl-C.
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
        near = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(COMMANDS)}"
        print(
            f"blankskip: no command {argv[0]!r}; {hint} (blankskip --help)",
            file=sys.stderr,
        )
        return USAGE
    warnings.filterwarnings("ignore", category=FutureWarning)  # inside ESPnet
    return run_command(
        f"blankskip {argv[0]}",
        lambda: run_verb(argv[0], argv[1:]),
        usage_errors=(ValueError, *UNUSABLE_FILES),
        failures=(ESPnetUnusable,),
    )


def run_verb(verb: str, argv: List[str]) -> int:
    """Run one verb; see the module.

    Raises:
        ESPnetUnusable: it needs PyTorch, and there is none.
    """
    try:
        return importlib.import_module(COMMANDS[verb][0]).main(argv)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ESPnetUnusable(
            "PyTorch is not installed, without which only transcribe works, with what "
            f"blankskip export wrote: {INSTALL}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
