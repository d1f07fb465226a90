"""Archives of corpora from the web, taken for nothing but what they should be."""

import sys
import tarfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Sequence

from espnet_blankskip.corpora.finding import SourceMissing, single_folder
from espnet_blankskip.terminal import one_line

TIMEOUT_SECONDS = 15
CHUNK_BYTES = 1 << 16


def fetch_archive(urls: Sequence[str], checksum: str, folder: Path) -> Path:
    """Download an archive and unpack it into a folder that then appears at once.

    Args:
        urls: Addresses of a tar archive; the first one that has it is taken.
        checksum: Its ``sha256:`` and the sum.
        folder: Where its content goes; must not exist yet.

    Returns:
        The folder with the content, below the archive's top folder if there is one.

    Raises:
        SourceMissing: If no address has it; the message gives each one's reason.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        for url in urls:
            try:
                unpack(
                    download(url, checksum, Path(scratch)), Path(scratch) / "content"
                )
            except SourceMissing as reason:
                reasons.append(str(reason))
            else:
                (Path(scratch) / "content").rename(folder)
                return single_folder(folder)
    raise SourceMissing("; ".join(reasons))


def download(url: str, checksum: str, folder: Path) -> Path:
    """Download a file, with a progress bar where there is a terminal.

    Raises:
        SourceMissing: If the address cannot be reached or has something else.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the bar says enough
    over_http = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        timeout=TIMEOUT_SECONDS,
        chunk_size=CHUNK_BYTES,
    )
    try:
        file = pooch.retrieve(
            url, checksum, fname="archive", path=folder, downloader=over_http
        )
    except (OSError, ValueError) as error:
        raise SourceMissing(f"cannot fetch {url}: {one_line(error)}") from error
    return Path(file)


def has_checksum(file: Path, checksum: str) -> bool:
    """Whether a file has a sum such as ``md5:0123...``."""
    import pooch

    algorithm, _, known = checksum.partition(":")
    return pooch.file_hash(str(file), alg=algorithm) == known


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, refusing entries that would land outside.

    Raises:
        SourceMissing: If it is no archive, is damaged, or is not safe to unpack.
    """
    try:
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise SourceMissing(
            f"{archive} is not a whole, safe archive: {one_line(error)}"
        ) from error
