"""How every command ends: 0 done, 1 failed, 2 a wrong command line, 130 interrupted."""

import os
import signal
import sys
from typing import Callable, Tuple

from espnet_blankskip.terminal import one_line

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
#: What a file that a command line names may be to blame for.
UNUSABLE_FILES = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def run_command(
    name: str,
    command: Callable[[], int],
    usage_errors: Tuple[type, ...] = (),
    failures: Tuple[type, ...] = (),
) -> int:
    """Run a command and turn what it raises into one line and an exit status.

    Args:
        name: what the line begins with.
        command: returns its exit status.
        usage_errors: exceptions that blame the command line or a file it names.
        failures: exceptions that blame something else; OSError is always one.

    Returns:
        The exit status.
    """
    interrupted = False

    def interrupt(number, frame):
        # C code may turn a KeyboardInterrupt into another exception
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not in the main thread, which alone gets signals
        before = None
    try:
        try:
            status = command() or DONE
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except BaseException:
            if interrupted:
                raise KeyboardInterrupt from None
            raise
    except KeyboardInterrupt:
        return _end(name, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # What is left in the buffer goes nowhere, or the exit would complain as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _end(name, "standard output was closed", FAILED)
    except usage_errors as error:
        return _end(name, error, USAGE)
    except (OSError, *failures) as error:
        return _end(name, error, FAILED)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _end(name: str, why, status: int) -> int:
    print(f"{name}: {one_line(why)}", file=sys.stderr)
    return status
