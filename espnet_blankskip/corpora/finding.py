"""Where corpora are on this machine: by a variable, or beside the checkout."""

import os
import shutil
from pathlib import Path
from typing import Callable, Iterator, Optional

#: Left free on the disk, so that a full disk does not cut later stages short.
MIN_FREE_GB = 1.0


class SourceMissing(ValueError):
    """The recordings of a corpus are nowhere to be found."""


def search_roots() -> Iterator[Path]:
    """The current folder, the checkout, and every folder above them."""
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        yield start
        yield from start.parents


def find_source(
    variable: str,
    name: str,
    downloads: Path,
    is_corpus: Callable[[Path], bool] = Path.exists,
) -> Optional[Path]:
    """Find the raw material of a corpus on this machine.

    In this order: the environment variable; ``shared/data/NAME`` in or beside the
    checkout (``../shared/data/NAME`` seen from its root), which several checkouts can
    share; what an earlier run fetched into ``downloads/NAME``.

    Args:
        variable: Environment variable, for example ``FSDD``; empty counts as unset.
        name: Name of the corpus's folder.
        downloads: Folder of fetched archives.
        is_corpus: Whether a path in ``shared/data`` is the corpus. One that is not is
            passed over with a line, for nobody has named it.

    Returns:
        An existing path, or None.

    Raises:
        SourceMissing: If the variable names something that does not exist. Falling
            back would hide a misspelled path.
    """
    given = find_given(variable, name, downloads, is_corpus)
    if given is not None:
        return given
    fetched = downloads / name
    return single_folder(fetched) if fetched.is_dir() else None


def find_given(
    variable: str,
    name: str,
    downloads: Path,
    is_corpus: Callable[[Path], bool] = Path.exists,
) -> Optional[Path]:
    """The same without looking into ``downloads``.

    A variable that names the folder ``downloads`` itself, as in ESPnet's ``db.sh``,
    counts as unset: what is not there yet is fetched.
    """
    value = os.environ.get(variable, "")
    path = Path(value).expanduser()
    if value and path.absolute() != Path(downloads).absolute():
        if not path.exists():
            raise SourceMissing(f"{variable}={value} does not exist")
        return path
    for root in search_roots():
        path = root / "shared" / "data" / name
        if path.exists():
            if is_corpus(path):
                return path
            print(f"{path} is not used: it lacks parts of this corpus", flush=True)
    return None


def was_unpacked(folder: Path, archive: Path) -> bool:
    """Whether a folder is there, and not as what an interrupted unpacking has left.

    lhotse and ESPnet mark a folder when they have unpacked its archive; a folder
    without its archive has been put there by the user.
    """
    marked = any((folder / mark).is_file() for mark in (".completed", ".complete"))
    return folder.is_dir() and (marked or not archive.exists())


def require_disk(folder: Path, gigabytes: float, purpose: str) -> None:
    """Refuse to start what the disk cannot hold.

    Args:
        folder: Where it will be; need not exist yet.
        gigabytes: How much it takes; :data:`MIN_FREE_GB` come on top.
        purpose: What it is for, after "for".

    Raises:
        OSError: If there is too little space.
    """
    existing = Path(folder).absolute()
    while not existing.is_dir():
        existing = existing.parent
    free = shutil.disk_usage(existing).free / 1e9
    needed = gigabytes + MIN_FREE_GB
    if free < needed:
        raise OSError(
            f"{folder}: too little disk space, {free:.1f} GB free and"
            f" {needed:.1f} GB needed for {purpose}"
        )


def single_folder(folder: Path) -> Path:
    """The only entry of a folder if that is a folder itself, else the folder."""
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder
