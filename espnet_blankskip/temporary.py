"""Files and folders that do not outlive us, however we end."""

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

# Its standard input is a pipe that ends when we do.
_REMOVE = "trap '' TERM INT HUP; read -r _; rm -rf -- \"$1\""


@contextlib.contextmanager
def vanishing(path: Path) -> Iterator[Path]:
    """Remove a file or folder when this is left, and if we are killed (SIGKILL).

    Args:
        path: Need not be there, now or then.

    Yields:
        ``path``.
    """
    path = Path(path).absolute()
    watch = subprocess.Popen(
        ["/bin/sh", "-c", _REMOVE, "sh", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # away from a terminal's Ctrl-C
    )
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                os.unlink(path)
        watch.kill()
        watch.wait()
        watch.stdin.close()


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder in TMPDIR, which goes when this is left or we are killed."""
    with vanishing(Path(tempfile.mkdtemp(prefix=f"blankskip_{purpose}_"))) as folder:
        yield folder


def folder_until_exit(purpose: str) -> Path:
    """Make a folder in TMPDIR, which goes when this process ends."""
    at_exit = contextlib.ExitStack()
    atexit.register(at_exit.close)
    return at_exit.enter_context(temporary_folder(purpose))
