"""``python -m espnet_blankskip.recipe``: asr.sh's stages with pip packages only."""

import signal
import sys
from typing import Optional, Sequence

from espnet_blankskip.exit_status import run_command


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the recipe.

    Args:
        argv: Command line without the program's name.

    Returns:
        0; 1 after a failed stage; 2 after a wrong option; 130 after an interrupt.
    """
    return run_command("run.sh", lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(argv: Sequence[str]) -> int:
    """Imports take seconds, in which an interrupt is one line already."""
    from espnet_blankskip.kaldi.lists import ListError
    from espnet_blankskip.recipe.failed_stage import StageError
    from espnet_blankskip.recipe.option_list import OptionError
    from espnet_blankskip.recipe.option_parsing import parse_options

    try:
        options = parse_options(argv)
    except OptionError as error:
        print(f"run.sh: error: {error} (./run.sh --help)", file=sys.stderr)
        return 2
    if options is None:
        return 0
    # So that a stage's children are stopped and its bars closed on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    from espnet_blankskip.recipe.stages import run_stages

    try:
        run_stages(options)
    except (StageError, ListError, OSError) as error:
        details = getattr(error, "details", "")
        if details:
            print(details, file=sys.stderr)
        print(f"run.sh: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("run.sh: interrupted; the same call goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
