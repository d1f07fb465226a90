"""A file of lines that can be continued after a crash and never ends half-written."""

import os
from pathlib import Path
from typing import Iterator


class LineFile:
    """Appends whole lines to a file.

    A line counts once its newline is on disk. What a killed process or a full disk
    left behind the last newline is cut off by the first `append`, not before: until
    there is something to write, a file stays as it is.

    Args:
        path: The file; made, with its folders, where there is none.
        restart: Drop the lines that are there.

    Raises:
        OSError: It cannot be opened or written.
    """

    def __init__(self, path: Path, restart: bool = False):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "ab", buffering=0)
        self._restart = restart
        self._size = 0 if restart else self._whole_lines()
        self._to_cut = self._size != path.stat().st_size

    def __iter__(self) -> Iterator[str]:
        """Read the whole lines that are there.

        Raises:
            ValueError: There is something, but no whole line of UTF-8 text.
        """
        if self._to_cut and self._size == 0 and not self._restart:
            raise ValueError(f"{self.path} holds no line")
        left = self._size
        with open(self.path, "rb") as lines:
            while left > 0:
                line = lines.readline()
                left -= len(line)
                yield line[:-1].decode("utf-8")

    def append(self, line: str) -> None:
        """Write one line, wholly or not at all.

        Raises:
            OSError: No room, or another fault; the file is as before.
        """
        content = line.encode("utf-8") + b"\n"
        self._cut()
        try:
            written = self._file.write(content)
            while written < len(content):  # the disk fills up: the next try says so
                written += self._file.write(content[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(content)

    def close(self) -> None:
        """Close the file, with its lines safe on disk."""
        self._cut()
        os.fsync(self._file.fileno())
        self._file.close()

    def _cut(self) -> None:
        if self._to_cut:
            self._file.truncate(self._size)
            self._to_cut = False

    def _whole_lines(self) -> int:
        """Return the length in bytes up to the last newline."""
        with open(self.path, "rb") as content:
            end = content.seek(0, os.SEEK_END)
            while end > 0:
                begin = max(0, end - 65536)
                content.seek(begin)
                newline = content.read(end - begin).rfind(b"\n")
                if newline >= 0:
                    return begin + newline + 1
                end = begin
        return 0
