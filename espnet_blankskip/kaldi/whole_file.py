"""Files that are written whole or not at all."""

import errno
import hashlib
import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and rename it, so it is never seen half-written.

    Args:
        path: The file; its folders are made.
        text: What it is to hold; lines end as they do here, on every system.

    Raises:
        OSError: It cannot be written; the file is as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(partial_name(path.name))
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def try_to_write(path: Path) -> None:
    """Find out early whether a file can be written; nothing is left of the try.

    Raises:
        OSError: It cannot.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if any(folder.exists() and not folder.is_dir() for folder in path.parents):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    new = [folder for folder in path.parents if not folder.exists()]
    partial = path.with_name(partial_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(b"\n")
    finally:
        partial.unlink(missing_ok=True)
        for folder in filter(Path.is_dir, new):
            folder.rmdir()


def partial_name(name: str) -> str:
    """Name for a file in the making: hidden, and short however long its name is."""
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{digest[:16]}.partial"
