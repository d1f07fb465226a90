"""LibriSpeech: ESPnet's sets from lhotse's manifests, and broken copies are named."""

import functools
import hashlib
import tarfile

import pytest
from made_corpora import LIBRISPEECH_PARTS, make_librispeech, usable
from web_server import serving

from espnet_blankskip.corpora import (
    CorpusOptions,
    finding,
    librispeech,
    prepare_corpus,
)
from espnet_blankskip.kaldi.lists import read_rows

PARTS_100 = [part for part in LIBRISPEECH_PARTS if part[-3:] not in ("360", "500")]
HELD_OUT = {
    "dev": ("dev-clean", "dev-other"),
    "dev_clean": ("dev-clean",),
    "dev_other": ("dev-other",),
    "test_clean": ("test-clean",),
    "test_other": ("test-other",),
}
SETS = {
    "librispeech": {"train_960": LIBRISPEECH_PARTS[:3], **HELD_OUT},
    "librispeech_100": {"train_clean_100": LIBRISPEECH_PARTS[:1], **HELD_OUT},
}


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    root = make_librispeech(tmp_path / "corpora", PARTS_100)
    monkeypatch.setenv("LIBRISPEECH", str(root))
    return root


def prepare(tmp_path, name="librispeech_100", **options):
    downloads = tmp_path / "downloads"
    return prepare_corpus(
        name, tmp_path / "data", CorpusOptions(downloads=downloads, **options)
    )


@pytest.mark.parametrize("name", SETS)
def test_sets_are_those_of_espnet(tmp_path, monkeypatch, name):
    root = make_librispeech(tmp_path / "corpora")
    monkeypatch.setenv("LIBRISPEECH", str(root.parent))
    prepare(tmp_path, name)
    assert {path.name for path in (tmp_path / "data").iterdir()} == set(SETS[name])
    for set_name, parts in SETS[name].items():
        folder = tmp_path / "data" / set_name
        audio = sorted(file for part in parts for file in (root / part).rglob("*.flac"))
        assert sorted(row[1] for row in read_rows(folder / "wav.scp")) == [
            str(path) for path in audio
        ]
        assert {text for _, text in read_rows(folder / "text")} == {"GO DO YOU HEAR"}
        speakers = dict(read_rows(folder / "utt2spk"))
        assert all(speaker == utt.split("-")[0] for utt, speaker in speakers.items())
        good, problems = usable(folder, fs=16000)
        assert (len(good), problems) == (len(audio), [])
        assert not (folder / "dropped").exists()


def test_every_folder_that_could_be_meant_is_understood(tmp_path, corpus, monkeypatch):
    monkeypatch.setenv("LIBRISPEECH", str(corpus.parent))
    prepare(tmp_path / "parent")
    # ESPnet's own db.sh names the downloads folder, relative to the recipe.
    (tmp_path / "downloads").symlink_to(corpus.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIBRISPEECH", "downloads")
    prepare_corpus("librispeech_100", tmp_path / "data", CorpusOptions())
    rows = read_rows(tmp_path / "data" / "dev" / "wav.scp")
    assert len(rows) == 8 and rows[0][1].startswith(f"{tmp_path}/downloads/LibriSpeech")


@pytest.mark.parametrize(
    "place, message",
    [
        (".", "has no train-clean-100, dev-clean, dev-other, test-clean, test-other"),
        ("corpora/LibriSpeech/dev-clean", "it should be the folder LibriSpeech or"),
        ("corpora/nowhere", "nowhere does not exist"),
    ],
)
def test_wrong_folder_is_told_from_the_right_one(
    tmp_path, corpus, monkeypatch, place, message
):
    monkeypatch.setenv("LIBRISPEECH", str(tmp_path / place))
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path)
    assert not list((tmp_path / "data").iterdir())


def chapter(corpus, part="dev-clean"):
    return next((corpus / part).glob("*/*"))


def first_audio(corpus):
    return sorted(chapter(corpus).glob("*.flac"))[0]


def drop_first_line(corpus):
    path = next(chapter(corpus).glob("*.txt"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


BROKEN = {
    "missing-audio": (
        lambda corpus: first_audio(corpus).unlink(),
        "has a transcript and no audio",
    ),
    "missing-transcript": (drop_first_line, "has audio and no transcript"),
    "zero-bytes": (
        lambda corpus: first_audio(corpus).write_bytes(b""),
        "audio file is empty (0 bytes)",
    ),
    "not-audio": (
        lambda corpus: first_audio(corpus).write_text("hello " * 50),
        "cannot be read as audio",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_few_broken_utterances_are_left_out_and_named(tmp_path, corpus, capsys, fault):
    spoil, reason = BROKEN[fault]
    utt_id = first_audio(corpus).stem
    spoil(corpus)
    prepare(tmp_path)
    said = capsys.readouterr().out
    for name, count in (("dev_clean", 3), ("dev", 7), ("dev_other", 4)):
        folder = tmp_path / "data" / name
        assert len(read_rows(folder / "wav.scp")) == count
        assert len(read_rows(folder / "text")) == count
        if name == "dev_other":
            assert not (folder / "dropped").exists()
            continue
        ((dropped, why),) = read_rows(folder / "dropped")
        assert dropped == utt_id and reason in why
        assert f"{name}: 1 of {count + 1} utterances cannot be used: {utt_id}" in said


def test_many_broken_utterances_are_an_error(tmp_path, corpus):
    files = sorted((corpus / "test-other").rglob("*.flac"))
    more = make_librispeech(corpus.parent, ["dev-other"], utterances=9) / "dev-other"
    for path in sorted(more.rglob("*.flac"))[:4]:
        path.write_text("hello " * 50)
    with pytest.raises(ValueError, match=r"dev: 4 of 22 utt.*\(at most 5% may be left"):
        prepare(tmp_path)
    for path in files:
        path.unlink()
    with pytest.raises(ValueError, match="test-other: no utterance has both audio and"):
        prepare(tmp_path)
    assert not list((tmp_path / "data").iterdir())


def test_transcript_without_words_is_named(tmp_path, corpus):
    path = next(chapter(corpus).glob("*.txt"))
    path.write_text(path.read_text() + "x-0009\n")
    with pytest.raises(ValueError, match=r"trans\.txt: x-0009 has no words"):
        prepare(tmp_path)


def test_extra_files_do_not_matter(tmp_path, corpus):
    (corpus / "dev-clean" / ".DS_Store").write_bytes(b"\x00")
    (chapter(corpus) / "notes.md").write_text("mine")
    prepare(tmp_path)
    assert not (tmp_path / "data" / "dev" / "dropped").exists()


def test_finished_sets_are_kept_and_others_are_replaced(tmp_path, corpus):
    prepare(tmp_path)
    before = (tmp_path / "data" / "dev" / "corpus.json").stat().st_mtime_ns
    assert "made earlier" in prepare(tmp_path)[0]
    assert (tmp_path / "data" / "dev" / "corpus.json").stat().st_mtime_ns == before


@pytest.fixture
def server(tmp_path):
    """A server of LibriSpeech's archives; ``(address, folder)``."""
    folder = tmp_path / "server" / "12"
    folder.mkdir(parents=True)

    with serving(folder.parent) as address:
        yield address, folder


@pytest.fixture
def served(tmp_path, server, monkeypatch):
    """The archives of five parts behind lhotse's downloader; their folder."""
    import lhotse.recipes

    address, folder = server
    root = make_librispeech(tmp_path / "archived", PARTS_100)
    for part in PARTS_100:
        with tarfile.open(folder / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(root / part, f"LibriSpeech/{part}")
    download = lhotse.recipes.download_librispeech
    local = functools.partial(download, base_url=address)
    monkeypatch.setattr(lhotse.recipes, "download_librispeech", local)
    monkeypatch.delenv("LIBRISPEECH", raising=False)
    # The real archives would not fit here, the made ones do.
    monkeypatch.setattr(
        "espnet_blankskip.corpora.librispeech.ARCHIVE_GB", {"train-clean-100": 0}
    )
    sha256 = hashlib.sha256((folder / "test-clean.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setitem(librispeech.CHECKSUMS, "test-clean", f"sha256:{sha256}")
    return folder


def test_a_download_with_another_sum_is_removed_and_named(
    tmp_path, served, monkeypatch
):
    right = librispeech.CHECKSUMS["test-clean"]
    monkeypatch.setitem(librispeech.CHECKSUMS, "test-clean", f"sha256:{'0' * 64}")
    message = r"what was fetched is damaged.*again \(test-clean.tar.gz sha256:000"
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path)
    downloads = tmp_path / "downloads"
    assert not (downloads / "test-clean.tar.gz").exists()
    assert not (downloads / "LibriSpeech" / "test-clean").exists()
    monkeypatch.setitem(librispeech.CHECKSUMS, "test-clean", right)
    prepare(tmp_path)
    assert len(read_rows(tmp_path / "data" / "test_clean" / "text")) == 4


def test_missing_parts_are_downloaded_and_interrupted_ones_again(tmp_path, served):
    own = make_librispeech(tmp_path / "downloads", ["test-clean"], utterances=3)
    whole = (served / "dev-other.tar.gz").read_bytes()
    (served / "dev-other.tar.gz").write_bytes(whole[:-200])
    with pytest.raises(ValueError, match="cannot download librispeech: .*again to go"):
        prepare(tmp_path)
    assert not list((tmp_path / "data").iterdir())
    assert (own / "dev-clean" / ".completed").is_file()
    (served / "dev-other.tar.gz").write_bytes(whole)
    # What unpacking has left is no complete part. (This server cannot go on in the
    # middle of a file, as the real one can.)
    (own / "dev-other").mkdir(exist_ok=True)
    (tmp_path / "downloads" / "dev-other.tar.gz").write_bytes(b"")
    (served / "dev-clean.tar.gz").unlink()  # not fetched again
    prepare(tmp_path)
    counts = {
        name: len(read_rows(tmp_path / "data" / name / "text"))
        for name in ("train_clean_100", "dev", "test_clean")
    }
    assert counts == {"train_clean_100": 4, "dev": 8, "test_clean": 6}


def test_download_that_cannot_fit_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.delenv("LIBRISPEECH", raising=False)
    usage = finding.shutil._ntuple_diskusage(10**12, 9 * 10**11, 10**11)
    monkeypatch.setattr(finding.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"100\.0 GB free and 12\d\.\d GB needed for Lib"):
        prepare(tmp_path, "librispeech")
    assert not (tmp_path / "downloads").exists()


def test_unreachable_home_is_one_line(tmp_path, served):
    for archive in served.iterdir():
        archive.unlink()
    with pytest.raises(ValueError, match="cannot download librispeech: HTTPError.*404"):
        prepare(tmp_path)
