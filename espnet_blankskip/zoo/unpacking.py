"""Unpack a zip from somebody else without trusting it.

An archive is checked as a whole before its first byte is written: names stay below
the target folder, only plain files and folders, no name twice, bounded size. Sizes
are counted again while unpacking, since a header may lie.
"""

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import List

from espnet_blankskip.zoo.errors import CheckpointError

GIB = 1 << 30
MAX_TOTAL_BYTES = 32 * GIB  # the largest public ESPnet checkpoints have about 6 GiB
MAX_MEMBERS = 10_000
# Weights barely shrink and text shrinks tenfold; only a bomb shrinks this well.
MAX_RATIO = 200
RATIO_FREE_BYTES = 16 << 20
_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # an unknown kind of compression
)


def unpack_zip(
    archive: Path, folder: Path, max_total_bytes: int = MAX_TOTAL_BYTES
) -> List[Path]:
    """Unpack a zip into an empty folder.

    Args:
        archive: the zip.
        folder: where to put its files; must exist.
        max_total_bytes: largest allowed size of all files together.

    Returns:
        The files written, in the archive's order.

    Raises:
        CheckpointError: the zip is damaged, hostile or too large.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check_members(archive, members, max_total_bytes)
            _check_free_space(archive, members, folder)
            return [
                _write_member(archive, opened, member, folder)
                for member in members
                if not member.is_dir()
            ]
    except _DAMAGED as error:
        raise CheckpointError(f"{archive}: damaged zip: {error}") from None


def _check_members(archive: Path, members, max_total_bytes: int) -> None:
    if len(members) > MAX_MEMBERS:
        raise CheckpointError(
            f"{archive}: {len(members)} files are more than the {MAX_MEMBERS} allowed"
        )
    names = set()
    for member in members:
        _check_name(archive, member.filename)
        mode = stat.S_IFMT(member.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise CheckpointError(
                f"{archive}: refused, {member.filename!r} is a link or device"
            )
        if member.flag_bits & _ENCRYPTED:
            raise CheckpointError(f"{archive}: {member.filename!r} is encrypted")
        # Case is folded because the file system below may fold it.
        name = str(PurePosixPath(member.filename)).casefold()
        if name in names:
            raise CheckpointError(
                f"{archive}: refused, it holds {member.filename!r} twice"
            )
        names.add(name)
        _check_ratio(archive, member.filename, member.file_size, member.compress_size)
    total = sum(member.file_size for member in members)
    if total > max_total_bytes:
        raise CheckpointError(
            f"{archive}: refused, it unpacks to {total / GIB:.1f} GiB, more than the "
            f"{max_total_bytes / GIB:.1f} GiB allowed"
        )


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    if not name or "\\" in name or "\0" in name or drive:
        raise CheckpointError(f"{archive}: refused, bad file name {name!r}")
    if path.is_absolute() or ".." in path.parts:
        raise CheckpointError(
            f"{archive}: refused, {name!r} would be written outside its folder"
        )


def _check_ratio(archive: Path, name: str, size: int, packed: int) -> None:
    if size > RATIO_FREE_BYTES and size > MAX_RATIO * max(1, packed):
        raise CheckpointError(
            f"{archive}: refused, {name!r} unpacks to {size / max(1, packed):.0f} "
            f"times its size (at most {MAX_RATIO} is allowed)"
        )


def _check_free_space(archive: Path, members, folder: Path) -> None:
    total = sum(member.file_size for member in members)
    free = shutil.disk_usage(folder).free
    if total > free:
        raise CheckpointError(
            f"{archive}: needs {total / GIB:.1f} GiB to unpack but {folder} has "
            f"{free / GIB:.1f} GiB free (set TMPDIR to a larger disk)"
        )


def _write_member(archive: Path, opened, member, folder: Path) -> Path:
    target = folder.joinpath(*PurePosixPath(member.filename).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as source, open(target, "xb") as sink:
        while True:
            chunk = source.read(_CHUNK)
            if not chunk:
                return target
            written += len(chunk)
            if written > member.file_size:
                raise CheckpointError(
                    f"{archive}: refused, {member.filename!r} is larger than it says"
                )
            sink.write(chunk)
