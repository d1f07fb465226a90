"""Lines are there wholly or not at all, whatever happened in between."""

import resource
from contextlib import contextmanager

import pytest

from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.transcripts.line_file import LineFile


@contextmanager
def room_for(size):
    """Let this process write files of at most `size` bytes, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize(
    "content, lines",
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nhalf", ["a"]),
        (b"a\n" + b"x" * 200_000, ["a"]),
        ("ä\nhal\xc3".encode("latin-1").replace(b"\xe4", "ä".encode()), ["ä"]),
    ],
)
def test_a_half_written_line_is_cut_off(content, lines, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(content)
    opened = LineFile(path)
    assert list(opened) == lines
    opened.append("new")
    opened.close()
    assert path.read_text() == "".join(f"{line}\n" for line in [*lines, "new"])


@pytest.mark.parametrize("content", [b"RIFF\xff\xff", b"\x89PNG\xff\nrest", b"prose"])
def test_what_is_no_list_of_lines_is_refused_and_left_alone(content, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        list(LineFile(path))
    assert path.read_bytes() == content


def test_restart_forgets_once_there_is_something_new(tmp_path):
    path = tmp_path / "new/folder/out"
    for text in ("one", "two"):
        before = path.read_text() if path.exists() else ""
        opened = LineFile(path, restart=True)
        assert list(opened) == []
        assert path.read_text() == before
        opened.append(text)
        opened.close()
    assert path.read_text() == "two\n"


def test_a_full_disk_leaves_whole_lines(tmp_path):
    path = tmp_path / "out"
    opened = LineFile(path)
    opened.append("fits")
    with room_for(20), pytest.raises(OSError):
        opened.append("x" * 100)
    assert path.read_text() == "fits\n"
    opened.append("later")
    opened.close()
    assert path.read_text() == "fits\nlater\n"


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.srt"
    write_whole(path, "old")
    with room_for(20), pytest.raises(OSError):
        write_whole(path, "x" * 100_000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
