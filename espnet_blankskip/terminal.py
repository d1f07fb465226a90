"""What the user sees: log lines as ESPnet writes them, and progress bars."""

import contextlib
import importlib
import io
import os
import sys
import time
from typing import Iterable, Optional

from tqdm import tqdm

#: Seconds between two updates of a bar.
REFRESH_SECONDS = 0.2


def log(message: str) -> None:
    """One line with the time, above any progress bar."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    tqdm.write(f"{stamp} (run.sh) {message}", file=sys.stdout)
    sys.stdout.flush()


def knows_its_size() -> bool:
    """Whether standard error's terminal has a size; tqdm shows nothing in 0 x 0."""
    return all(os.get_terminal_size(2))


def one_line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())


def typed_line(error: Exception) -> str:
    """The same after the error's type, where its words were not meant for users."""
    words = one_line(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def first_of(names: Iterable[str], shown: int = 5) -> str:
    """The first names of many, and how many more there are."""
    names = list(names)
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def quiet_import(module: str):
    """Import a module without the greetings that ESPnet prints to stdout.

    A command's stdout may be read by a program.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(module)


class _Nowhere(io.TextIOBase):
    """Takes what nobody is to see."""

    def write(self, text: str) -> int:
        return len(text)


class ProgressBar(tqdm):
    """A bar on the terminal; it counts unseen where there is none.

    Args:
        description: What is going on.
        total: Number of steps; None if it is not known yet.
        options: Further options of tqdm.
    """

    def __init__(self, description: str, total: Optional[float], **options):
        on_terminal = sys.stderr.isatty()
        self._shown = 0.0
        super().__init__(
            total=total,
            desc=description,
            file=sys.stderr if on_terminal else _Nowhere(),
            dynamic_ncols=on_terminal and knows_its_size(),
            ncols=80 if on_terminal and not knows_its_size() else None,
            nrows=24 if on_terminal and not knows_its_size() else None,
            mininterval=REFRESH_SECONDS,
            **options,
        )

    def tick(self) -> None:
        """Let the clock go on while there is no step to report."""
        now = time.monotonic()
        if now - self._shown >= self.mininterval:
            self._shown = now
            self.refresh()
