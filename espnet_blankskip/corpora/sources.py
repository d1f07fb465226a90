"""Where corpora come from: a variable, a folder beside the checkout, or the web."""

import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path
from typing import Callable, Iterator, Optional

from tqdm import tqdm

TIMEOUT_SECONDS = 15
CHUNK_BYTES = 1 << 16
#: Left free on the disk, so that a full disk does not cut later stages short.
MIN_FREE_GB = 1.0
#: An archive that claims to unpack to more than this is not one of our corpora.
UNPACKED_LIMIT_BYTES = 20 << 30


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


def fetch_archive(url: str, folder: Path) -> Path:
    """Download an archive and unpack it into a folder that then appears at once.

    Args:
        url: Address of a zip or tar archive.
        folder: Where its content goes; must not exist yet.

    Returns:
        The folder with the content, below the archive's top folder if there is one.

    Raises:
        SourceMissing: If the address cannot be reached or is not an archive.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive = folder.parent / f".{folder.name}.archive.partial"
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        download(url, archive)
        unpack(archive, partial)
        partial.rename(folder)
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    return single_folder(folder)


def single_folder(folder: Path) -> Path:
    """The only entry of a folder if that is a folder itself, else the folder."""
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def download(url: str, target: Path) -> None:
    """Download with a progress bar.

    Raises:
        SourceMissing: If the address cannot be reached or the answer stops early.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
            bar = tqdm(total=total, unit="B", unit_scale=True, desc="download")
            with open(target, "wb") as stream, bar:
                while chunk := answer.read(CHUNK_BYTES):
                    stream.write(chunk)
                    bar.update(len(chunk))
        if total is not None and target.stat().st_size < total:
            raise SourceMissing(f"{url}: the connection ended early")
    except (urllib.error.URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise SourceMissing(f"cannot fetch {url}: {reason}") from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive, refusing entries that would land outside.

    Raises:
        SourceMissing: If it is no archive, is damaged, or is not safe to unpack.
    """
    folder.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as content:
                check_entries(
                    archive,
                    folder,
                    ((i.filename, i.file_size) for i in content.filelist),
                )
                content.extractall(folder)
        else:
            with tarfile.open(archive) as content:
                # Neither links nor devices belong into a corpus.
                members = [m for m in content.getmembers() if m.isfile() or m.isdir()]
                check_entries(archive, folder, ((m.name, m.size) for m in members))
                content.extraction_filter = getattr(
                    tarfile, "data_filter", lambda member, path: member
                )
                content.extractall(folder, members)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise SourceMissing(f"{archive} is not a whole archive: {error}") from error


def check_entries(archive: Path, folder: Path, entries) -> None:
    """Check names and sizes ``(name, bytes)`` of an archive before unpacking it.

    Raises:
        SourceMissing: If an entry lies outside of the folder or the whole is too big.
    """
    root = folder.resolve()
    total = 0
    for name, size in entries:
        total += size
        if not (root / name).resolve().is_relative_to(root):
            raise SourceMissing(
                f"{archive}: entry {name!r} lies outside of the archive"
            )
    if total > UNPACKED_LIMIT_BYTES:
        raise SourceMissing(
            f"{archive}: unpacks to {total >> 30} GiB, which is too much"
        )
