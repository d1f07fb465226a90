"""AN4: ESPnet's dev set, and the archive from the first home that has it."""

import hashlib
import shutil
import tarfile

import pytest
import soundfile
from made_corpora import make_an4, usable
from web_server import serving

from espnet_blankskip.corpora import (
    CorpusOptions,
    an4,
    prepare_corpus,
    sources,
)
from espnet_blankskip.kaldi.lists import read_rows


def prepare(tmp_path):
    options = CorpusOptions(downloads=tmp_path / "downloads")
    return prepare_corpus("an4", tmp_path / "data", options)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("AN4", str(tmp_path / "corpora"))
    return make_an4(tmp_path / "corpora")


def test_first_hundred_utterances_are_the_dev_set(tmp_path, corpus):
    prepare(tmp_path)
    sets = {}
    for name, count in (("train_nodev", 4), ("train_dev", 100), ("test", 3)):
        good, problems = usable(tmp_path / "data" / name, fs=16000)
        assert (len(good), problems) == (count, [])
        sets[name] = good
    assert max(sets["train_dev"]) < min(sets["train_nodev"])
    assert sets["train_dev"][0] == "aaaa-an000-b"


def test_broken_utterances_are_named(tmp_path, corpus):
    train = corpus / "wav" / "an4_clstk"
    (train / "dddd" / "an103-dddd-b.sph").unlink()
    (train / "aaaa" / "an000-aaaa-b.sph").write_bytes(b"NIST_1A\n   1024\n" * 9)
    (train / "aaaa" / "an900-aaaa-b.sph").write_bytes(b"")
    prepare(tmp_path)
    dropped = {
        name: dict(read_rows(tmp_path / "data" / name / "dropped"))
        for name in ("train_nodev", "train_dev")
    }
    assert "no such audio file" in dropped["train_nodev"].pop("dddd-an103-b")
    assert "cannot be read" in dropped["train_dev"].pop("aaaa-an000-b")
    assert dropped["train_nodev"].pop("an900-aaaa-b") == "has audio and no transcript"
    assert not any(dropped.values())


def test_the_same_audio_in_other_formats_is_read(tmp_path, corpus):
    for path in sorted((corpus / "wav").rglob("*.sph")):
        audio, rate = soundfile.read(path)
        # As in the folder that several checkouts share.
        suffix = ".flac" if "test" in path.parts[-3] else ".ogg"
        part = path.relative_to(corpus / "wav").with_suffix(suffix)
        (corpus / "flac" / part).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(corpus / "flac" / part, audio, rate)
    shutil.rmtree(corpus / "wav")
    next((corpus / "flac").rglob("an002-cccc-b.ogg")).unlink()
    prepare(tmp_path)
    data = tmp_path / "data"
    counts = {path.name: len(read_rows(path / "wav.scp")) for path in data.iterdir()}
    assert counts == {"train_nodev": 4, "train_dev": 99, "test": 3}
    ((utt_id, why),) = read_rows(data / "train_dev" / "dropped")
    assert utt_id == "cccc-an002-b" and "no such audio file" in why


def test_wrong_folder_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "corpora").mkdir()
    monkeypatch.setenv("AN4", str(tmp_path / "corpora"))
    with pytest.raises(ValueError, match="no an4_sphere.tar.gz or an4/etc and an4/wav"):
        prepare(tmp_path)


def test_archive_comes_from_the_first_home_that_has_it(tmp_path, corpus, monkeypatch):
    archive = tmp_path / "an4_sphere.tar.gz"
    with tarfile.open(archive, "w:gz") as content:
        content.add(corpus, "an4")
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(an4, "ARCHIVE_CHECKSUM", f"sha256:{checksum}")
    monkeypatch.setenv("AN4", "downloads")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "search_roots", lambda: [])
    with serving(tmp_path) as address:
        urls = ("http://127.0.0.1:1/an4.tar.gz", f"{address}/{archive.name}")
        monkeypatch.setattr(an4, "ARCHIVE_URLS", urls)
        prepare_corpus("an4", tmp_path / "data", CorpusOptions())
    assert len(read_rows(tmp_path / "data" / "train_dev" / "text")) == 100
    assert (tmp_path / "downloads" / "an4" / "an4" / "etc").is_dir()


def test_every_unreachable_home_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("AN4", "")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    urls = ("http://127.0.0.1:1/a.tar.gz", "http://127.0.0.1:1/b.tar.gz")
    monkeypatch.setattr(an4, "ARCHIVE_URLS", urls)
    with pytest.raises(ValueError, match="set AN4 to .*a.tar.gz: .*; .*b.tar.gz: "):
        prepare(tmp_path)
