"""A stretch of a file that libsndfile takes for a file."""

import io
from typing import BinaryIO, Optional

_ID3V1_BYTES = 128
_MPEG_HEADER_BYTES = 4


class Part(io.RawIOBase):
    """Bytes of a file from one place to another, read through a position of its own.

    Args:
        file: Open binary file that can seek.
        start: Place in the file that is byte 0 here.
        end: Place after the last byte; None: where the file ends.
        patch: Bytes that are read in place of the file's own, to mend a header.
        patch_at: Where they stand, counted from the beginning of the file.
        claim: Length in bytes to announce; None: the real one. libmpg123 guesses the
            number of samples from it, and libsndfile reads no more than was guessed.
            A frame that is cut off at the real end is then filled up with zeros, as
            libmpg123 loses the block of samples that it stands in otherwise.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int = 0,
        end: Optional[int] = None,
        patch: bytes = b"",
        patch_at: int = 0,
        claim: Optional[int] = None,
    ):
        self._file, self._start = file, start
        self._length = (file.seek(0, io.SEEK_END) if end is None else end) - start
        self._claim = self._length if claim is None else claim
        self._patch, self._patch_at = patch, patch_at - start
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_CUR: self.position, io.SEEK_END: self._claim}.get(whence, 0)
        self.position = base + offset
        return self.position

    def readinto(self, buffer) -> int:
        begin = self.position
        count = min(len(buffer), self._length - begin)
        if count <= 0:
            # a tag is looked for at the end that was announced: there is none
            none = begin >= self._length and begin + _ID3V1_BYTES >= self._claim
            data = bytes(max(0, min(len(buffer), self._claim - begin)) if none else 0)
        else:
            self._file.seek(self._start + begin)
            data = self._patched(read_fully(self._file, count), begin)
            if self._claim > self._length and len(buffer) > _MPEG_HEADER_BYTES:
                data += bytes(len(buffer) - count)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def _patched(self, data: bytes, begin: int) -> bytes:
        first = max(begin, self._patch_at)
        last = min(begin + len(data), self._patch_at + len(self._patch))
        if first >= last:
            return data
        mended = self._patch[first - self._patch_at : last - self._patch_at]
        return data[: first - begin] + mended + data[last - begin :]


def read_fully(file: BinaryIO, count: int) -> bytes:
    """Read as many bytes as asked for, from files that give less at a time, too."""
    data = file.read(count)
    while 0 < len(data) < count:
        more = file.read(count - len(data))
        if not more:
            break
        data += more
    return data
