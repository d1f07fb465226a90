"""mini_an4: NIST SPHERE read right, and ESPnet's own split."""

import pytest
import soundfile
from made_corpora import usable

from espnet_blankskip.corpora import (
    CorpusOptions,
    fetching,
    prepare_corpus,
)
from espnet_blankskip.corpora.an4 import an4_root, read_part
from espnet_blankskip.kaldi.lists import read_rows

TEXTS = {
    "train_nodev": [
        ("fash-an253-b", "GO"),
        ("fbbh-cen8-b", "MARCH THIRD NINETEEN TWENTY EIGHT"),
        ("mwhw-an152-b", "START"),
        ("mwhw-cen8-b", "ELEVEN SEVENTEEN FIFTY ONE"),
    ],
    "train_dev": [("fash-an251-b", "YES")],
    "test": [
        ("fcaw-cen8-b", "ELEVEN TWENTY SEVEN FIFTY SEVEN"),
        ("mmxg-cen8-b", "OCTOBER TWENTY FOUR NINETEEN SEVENTY"),
    ],
}


@pytest.fixture(scope="module")
def made(mini_an4, tmp_path_factory):
    output = tmp_path_factory.mktemp("mini_an4")
    prepare_corpus("mini_an4", output, CorpusOptions())
    return output


@pytest.mark.parametrize("name", TEXTS)
def test_sets_are_those_of_espnet(made, name):
    assert read_rows(made / name / "text") == TEXTS[name]
    assert usable(made / name, fs=16000)[1] == []


def test_wav_holds_the_samples_of_the_sphere_file(mini_an4, made):
    with an4_root(mini_an4, "downloads.tar.gz") as root:
        sphere = read_part(root, "test")[0].audio
        header, body = sphere.read_bytes()[:1024], sphere.read_bytes()[1024:]
    assert b"sample_byte_format -s2 01" in header  # little endian, as in wav
    wav = dict(read_rows(made / "test" / "wav.scp"))["fcaw-cen8-b"]
    audio, rate = soundfile.read(wav, dtype="int16")
    assert rate == 16000
    assert audio.astype("<i2").tobytes() == body


def test_unpacked_folder_works_as_well(mini_an4, made, tmp_path, monkeypatch):
    fetching.unpack(mini_an4 / "downloads.tar.gz", tmp_path / "unpacked")
    monkeypatch.setenv("MINI_AN4", str(tmp_path / "unpacked" / "downloads"))
    prepare_corpus("mini_an4", tmp_path / "data", CorpusOptions())
    assert read_rows(tmp_path / "data" / "test" / "text") == TEXTS["test"]


def write_an4(root, line):
    (root / "etc").mkdir(parents=True)
    (root / "wav").mkdir()
    (root / "etc" / "an4_train.transcription").write_text(line + "\n")


@pytest.mark.parametrize(
    "line, message",
    [
        ("<s> YES </s>", "cannot read '<s> YES </s>'"),
        (
            "<s> YES </s> (an251-fash-b)\n<s> NO </s> (an252-fash-b)",
            "1 of 1 utterances cannot be used: fash-an252-b: no such audio file",
        ),
    ],
)
def test_broken_source_is_named(tmp_path, monkeypatch, line, message):
    write_an4(tmp_path / "an4", line)
    (tmp_path / "an4" / "etc" / "an4_test.transcription").write_text("")
    monkeypatch.setenv("MINI_AN4", str(tmp_path / "an4"))
    with pytest.raises(ValueError, match=message):
        prepare_corpus("mini_an4", tmp_path / "data", CorpusOptions())
    assert not list((tmp_path / "data").iterdir())
