"""An archive from the web is the one that was meant, and whole, or leaves nothing."""

import hashlib
import io
import tarfile

import pytest
from web_server import serving

from espnet_blankskip.corpora.fetching import fetch_archive, unpack
from espnet_blankskip.corpora.finding import SourceMissing

NOWHERE = "http://127.0.0.1:9"


def tar_of(**files):
    """Bytes of a compressed archive with these texts."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def checksum(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The folder of a server, and its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "web"
    folder.mkdir()
    with serving(folder) as address:
        yield folder, address


GOOD = tar_of(**{"top/a.txt": "one", "top/b/c.txt": "two"})


def test_the_first_home_that_has_the_archive_is_taken(web, tmp_path, capfd):
    folder, address = web
    (folder / "other.tgz").write_bytes(tar_of(**{"top/a.txt": "other"}))
    (folder / "good.tgz").write_bytes(GOOD)
    urls = [NOWHERE, *(f"{address}/{name}.tgz" for name in ("no", "other", "good"))]
    found = fetch_archive(urls, checksum(GOOD), tmp_path / "downloads" / "corpus")
    assert found == tmp_path / "downloads" / "corpus" / "top"
    assert (found / "a.txt").read_text() == "one"
    assert (found / "b" / "c.txt").read_text() == "two"
    assert [path.name for path in found.parents[1].iterdir()] == ["corpus"]
    assert capfd.readouterr().err == ""  # no bar, for this is no terminal


@pytest.mark.parametrize(
    "content, expected, reason",
    [
        pytest.param(None, GOOD, "404", id="not-there"),
        pytest.param(tar_of(a="1"), GOOD, "does not match the known hash", id="other"),
        pytest.param(GOOD[:-20], GOOD, "does not match the known hash", id="cut"),
        pytest.param(GOOD[:-20], GOOD[:-20], "not a whole", id="made-cut"),
        pytest.param(b"<html>", b"<html>", "not a whole", id="no-archive"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(web, tmp_path, content, expected, reason):
    folder, address = web
    if content is not None:
        (folder / "corpus.tgz").write_bytes(content)
    urls = [NOWHERE, f"{address}/corpus.tgz"]
    with pytest.raises(SourceMissing, match=reason) as raised:
        fetch_archive(urls, checksum(expected), tmp_path / "downloads" / "corpus")
    message = str(raised.value)
    assert message.startswith(f"cannot fetch {NOWHERE}: ") and "\n" not in message
    assert list((tmp_path / "downloads").iterdir()) == []


def link(target):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(tar_of(**{"../evil.wav": "x"}), id="upwards"),
        pytest.param(tar_of(**{"a/../../evil.wav": "x"}), id="and-upwards"),
        pytest.param(link("../evil.wav"), id="link-upwards"),
        pytest.param(link("/etc/passwd"), id="link-to-root"),
    ],
)
def test_an_archive_cannot_reach_outside_of_its_folder(tmp_path, content):
    (tmp_path / "bad.tgz").write_bytes(content)
    with pytest.raises(SourceMissing, match="not a whole, safe archive"):
        unpack(tmp_path / "bad.tgz", tmp_path / "inner" / "folder")
    assert not list(tmp_path.rglob("evil.wav")) + list(tmp_path.rglob("link"))
