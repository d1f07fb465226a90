"""What the headers of audio files tell that libsndfile does not pass on.

libsndfile shortens a file whose header announces more samples than there are, and
leaves out what follows the first of several streams, both without a word.
"""

import io
import re
import struct
from typing import BinaryIO, Iterator, List, NamedTuple, Optional, Tuple

from espnet_blankskip.audio.parts import read_fully

# A writer that cannot seek back (a pipe) announces this much or more, or nothing.
_UNKNOWN_SIZE = 0x7FFFF000

# how files begin that hold audio (or stand for it) and that libsndfile cannot read
_FOREIGN = (
    (re.compile(rb"....ftyp", re.DOTALL), "MP4 (m4a, mp4, mov)"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "WebM or Matroska"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "AAC"),
    (re.compile(rb"#!AMR"), "AMR"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "WMA"),
)
_LFS_POINTER = b"version https://git-lfs"


def remedy(head: bytes) -> Optional[str]:
    """Say what kind of unreadable file this is, and what helps.

    Args:
        head: Its first 32 bytes.

    Returns:
        The line, or None where the kind is not known.
    """
    if head.startswith(_LFS_POINTER):
        return "is a pointer of Git LFS, not the audio itself: run 'git lfs pull'"
    for begin, name in _FOREIGN:
        if begin.match(head):
            return (
                f"is {name}, which libsndfile does not read: convert it to WAV or "
                "FLAC first, for example with 'ffmpeg -i FILE FILE.wav'"
            )
    return None


class SampleData(NamedTuple):
    """Where a header says that the samples are, in bytes from the file's beginning.

    Args:
        start: Their first byte.
        size: How many bytes are announced; None: as many as there are.
        field: Where the size stands.
        layout: `struct` format of the size.
    """

    start: int
    size: Optional[int]
    field: int
    layout: str

    def mended(self, file: BinaryIO, length: int) -> Optional[bytes]:
        """Make a size for a header that says 0, as writers into a pipe leave it.

        Args:
            file: The file.
            length: Its length in bytes.

        Returns:
            What to put into `field`; None if nothing, or nothing but other chunks,
            follows the header.
        """
        narrow = self.layout.endswith("I")
        if self.size != 0 or self.start >= length or not narrow:
            return None
        if _only_chunks(file, self.start, length, self.layout):
            return None
        return struct.pack(self.layout, min(length - self.start, _UNKNOWN_SIZE - 1))


def sample_data(file: BinaryIO) -> Optional[SampleData]:
    """Read where a WAV, RF64, W64, AIFF, AU or SPHERE file announces its samples.

    Returns:
        The place, or None for other formats and headers that end early.
    """
    file.seek(0)
    head = read_fully(file, 40)
    try:
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            return _in_chunks(file, 12, "<4sI", (b"data",))
        if head[:4] == b"RIFX" and head[8:12] == b"WAVE":
            return _in_chunks(file, 12, ">4sI", (b"data",))
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
            return _in_chunks(file, 12, ">4sI", (b"SSND", b"BODY"))
        if head[:4] == b"riff" and head[24:28] == b"wave":
            return _in_chunks(file, 40, "<4s12xQ", (b"data",))
        if head[:4] in (b".snd", b"dns."):
            order = ">" if head[:4] == b".snd" else "<"
            start, size = struct.unpack_from(order + "II", head, 4)
            return SampleData(start, _known(size), 8, order + "I")
        if head[:8] == b"NIST_1A\n":
            return _in_sphere(file)
    except struct.error:  # the file ends within its header
        pass
    return None


def _known(size: int) -> Optional[int]:
    return None if size >= _UNKNOWN_SIZE else size


def _in_chunks(
    file: BinaryIO, at: int, layout: str, names: Tuple[bytes, ...]
) -> Optional[SampleData]:
    """Find a chunk of samples in RIFF, its 64-bit kinds, or AIFF."""
    head = struct.calcsize(layout)
    wide = layout.endswith("Q")  # W64 counts a chunk's head, and pads it to 8 bytes
    width, padding = (8, 8) if wide else (4, 2)
    long_size = None
    while True:
        file.seek(at)
        name, size = struct.unpack(layout, read_fully(file, head))
        begin = at + head
        size -= head if wide else 0
        if name in names:
            known = max(0, size) if wide else _known(size)
            known = long_size if known is None else known
            return SampleData(begin, known, begin - width, layout[0] + layout[-1])
        if name == b"ds64":
            long_size = struct.unpack_from("<Q", read_fully(file, 16), 8)[0]
        if size < 0:
            return None
        at = begin + size + -size % padding


def _in_sphere(file: BinaryIO) -> Optional[SampleData]:
    """Multiply what a SPHERE header says; there is no field to mend."""
    file.seek(0)
    head = read_fully(file, 1024).decode("latin-1")
    number = {
        name: int(value)
        for name, value in re.findall(r"^(\w+) -i (\d+)\s*$", head, re.MULTILINE)
    }
    try:
        size = number["sample_count"] * number["sample_n_bytes"]
        start = int(head.split("\n", 2)[1])
        return SampleData(start, size * number.get("channel_count", 1), 0, "")
    except (KeyError, ValueError):
        return None


def _only_chunks(file: BinaryIO, at: int, end: int, layout: str) -> bool:
    """Tell whether the rest of a RIFF or AIFF file is chunks, and not samples."""
    while at < end:
        file.seek(at)
        head = read_fully(file, 8)
        if len(head) < 8 or not re.fullmatch(rb"[ -~]{4}", head[:4]):
            return False
        size = struct.unpack_from(layout, head, 4)[0]
        at += 8 + size + size % 2
    return at <= end + 1  # the last padding byte is often left out


class OggLinks(NamedTuple):
    """The streams of an Ogg file that follow each other.

    Args:
        places: First byte and the byte after the last, of each.
        cut: The file ends within a page.
        ended: The last page says that it is the last.
    """

    places: List[Tuple[int, int]]
    cut: bool
    ended: bool


def ogg_links(file: BinaryIO) -> OggLinks:
    """Walk over the pages of an Ogg file; none of their content is read."""
    size = file.seek(0, io.SEEK_END)
    starts, at, flags = [0], 0, 2
    for at, page_flags in _ogg_pages(file):
        begins, follows_content = page_flags & 2, not flags & 2
        if begins and follows_content:
            starts.append(at)
        flags = page_flags
    file.seek(at)
    end = at + _page_length(read_fully(file, 282))
    places = list(zip(starts, [*starts[1:], size]))
    return OggLinks(places, end > size, bool(flags & 4))


def _ogg_pages(file: BinaryIO) -> Iterator[Tuple[int, int]]:
    """Yield the place and the flags of every page, up to what is none."""
    at = 0
    while True:
        file.seek(at)
        head = read_fully(file, 282)
        if len(head) < 27 or head[:4] != b"OggS":
            return
        yield at, head[5]
        at += _page_length(head)


def _page_length(head: bytes) -> int:
    segments = head[26]
    return 27 + segments + sum(head[27 : 27 + segments])


def id3v2_length(head: bytes) -> int:
    """Return the length of the tag before an MP3 stream, from its first 10 bytes."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def mp3_announces_length(file: BinaryIO, start: int) -> bool:
    """Tell whether an MP3 stream begins with a frame that counts all frames."""
    file.seek(start)
    while length := id3v2_length(read_fully(file, 10)):
        start += length
        file.seek(start)
    file.seek(start)
    head = read_fully(file, 256)
    if b"VBRI" in head:
        return True
    found = re.search(rb"(?:Xing|Info)...(.)", head, re.DOTALL)
    return bool(found and found.group(1)[0] & 1)


def end_without_zeros(file: BinaryIO, end: int) -> int:
    """Return where the zeros begin that a file is filled up with."""
    while end > 0:
        begin = max(0, end - 65536)
        file.seek(begin)
        content = read_fully(file, end - begin).rstrip(b"\0")
        if content:
            return begin + len(content)
        end = begin
    return end


def is_mpeg_audio(head: bytes) -> bool:
    """Tell whether bytes begin an MPEG audio frame or a tag before one."""
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
