"""A zip from somebody else is written below its folder, bounded, or not at all."""

import stat
import struct
import zipfile

import pytest

from espnet_blankskip.zoo import CheckpointError, unpacking
from espnet_blankskip.zoo.unpacking import unpack_zip


def link(name):
    """A member that says it is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def device(name):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFCHR | 0o666) << 16
    return info


HOSTILE = {
    "parent": ([("../evil", b"x")], "outside its folder"),
    "hidden parent": ([("exp/../../evil", b"x")], "outside its folder"),
    "absolute": ([("/tmp/evil", b"x")], "outside its folder"),
    "backslash": ([("..\\evil", b"x")], "bad file name"),
    "drive": ([("C:evil", b"x")], "bad file name"),
    "link": ([(link("exp/a"), b"/etc/passwd")], "link or device"),
    "device": ([(device("exp/a"), b"")], "link or device"),
    "twice": ([("a/b", b"x"), ("a//b", b"y")], "twice"),
    "twice but for case": ([("meta.yaml", b"x"), ("META.yaml", b"y")], "twice"),
}


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_zip_is_refused_before_a_byte_is_written(case, tmp_path, target):
    members, why = HOSTILE[case]
    with zipfile.ZipFile(tmp_path / "h.zip", "w") as opened:
        opened.writestr("good", b"x")
        for name, content in members:
            opened.writestr(name, content)
    with pytest.raises(CheckpointError, match=why):
        unpack_zip(tmp_path / "h.zip", target)
    assert list(target.rglob("*")) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h.zip", "target"]


def test_bomb_is_refused(tmp_path, target):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(32 << 20))
    with pytest.raises(CheckpointError, match="times its size"):
        unpack_zip(tmp_path / "b.zip", target)
    assert list(target.iterdir()) == []


def test_total_size_is_capped(tmp_path, target):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        opened.writestr("a", b"x" * 600)
        opened.writestr("b", b"x" * 600)
    with pytest.raises(CheckpointError, match="more than the"):
        unpack_zip(tmp_path / "b.zip", target, max_total_bytes=1000)
    assert len(unpack_zip(tmp_path / "b.zip", target, max_total_bytes=1200)) == 2


def test_number_of_files_is_capped(tmp_path, target, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 3)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        for i in range(4):
            opened.writestr(str(i), b"")
    with pytest.raises(CheckpointError, match="4 files"):
        unpack_zip(tmp_path / "b.zip", target)


def test_size_in_the_header_is_not_believed(tmp_path, target):
    """A member that announces 10 bytes and holds 5,000 never writes the rest."""
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a", b"x" * 5000)
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        unpack_zip(path, target)
    assert all(p.stat().st_size <= 10 for p in target.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip"])
def test_damaged_zip_is_named(damage, tmp_path, target):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a", b"abcdefgh" * 100)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[:400]
    elif damage == "flipped":
        data[100] ^= 0xFF
    else:
        data = bytearray(b"not a zip at all")
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"d\.zip: damaged zip"):
        unpack_zip(path, target)


def test_honest_zip_comes_out_as_it_went_in(tmp_path, target):
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as opened:
        opened.writestr("exp/", b"")
        opened.writestr("exp/a.txt", b"one")
        opened.writestr("b", b"two")
    files = unpack_zip(tmp_path / "g.zip", target)
    assert files == [target / "exp/a.txt", target / "b"]
    assert [f.read_bytes() for f in files] == [b"one", b"two"]
