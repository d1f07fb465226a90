"""AISHELL: characters without spaces, and a folder that is not it is told apart."""

import pytest
from made_corpora import make_aishell, usable, write_noise

from espnet_blankskip.corpora import (
    CorpusOptions,
    prepare_corpus,
)
from espnet_blankskip.kaldi.lists import read_rows

TRANSCRIPTS = "data_aishell/transcript/aishell_transcript_v0.8.txt"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("AISHELL", str(tmp_path / "corpora"))
    return make_aishell(tmp_path / "corpora")


def prepare(tmp_path):
    options = CorpusOptions(downloads=tmp_path / "downloads")
    return prepare_corpus("aishell", tmp_path / "data", options)


def test_sets_are_those_of_espnet(tmp_path, corpus):
    prepare(tmp_path)
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [
        "dev",
        "test",
        "train",
    ]
    for name, speakers in (("train", 2), ("dev", 1), ("test", 1)):
        folder = tmp_path / "data" / name
        good, problems = usable(folder, fs=16000)
        assert (len(good), problems) == (3 * speakers, [])
        assert {text for _, text in read_rows(folder / "text")} == {"广州市房地产T二"}
        assert len(read_rows(folder / "spk2utt")) == speakers
    assert (tmp_path / "data" / "dev" / "utt2spk").read_text().splitlines()[0] == (
        "BAC009S0724W0121 S0724"
    )


@pytest.mark.parametrize("place", ["corpora/data_aishell", "."])
def test_folder_above_or_below_is_understood(tmp_path, corpus, monkeypatch, place):
    corpus.rename(tmp_path / "aishell")
    place = place.replace("corpora", "aishell")
    monkeypatch.setenv("AISHELL", str(tmp_path / place))
    prepare(tmp_path)
    assert (tmp_path / "data" / "train" / "wav.scp").is_file()


def test_corpus_in_the_downloads_folder_is_not_fetched_again(
    tmp_path, corpus, monkeypatch
):
    monkeypatch.delenv("AISHELL")
    corpus.rename(tmp_path / "downloads")
    prepare(tmp_path)
    assert (tmp_path / "data" / "train" / "wav.scp").is_file()


def without_wav(corpus):
    (corpus / "data_aishell" / "wav").rename(corpus / "audio")


def without_transcripts(corpus):
    (corpus / TRANSCRIPTS).unlink()


@pytest.mark.parametrize("spoil", [without_wav, without_transcripts])
def test_incomplete_folder_is_one_line(tmp_path, corpus, spoil):
    spoil(corpus)
    with pytest.raises(ValueError, match="AISHELL: .* should be the folder that holds"):
        prepare(tmp_path)


def test_broken_utterances_are_left_out_of_their_own_set(tmp_path, corpus, capsys):
    wav = corpus / "data_aishell" / "wav"
    path = corpus / TRANSCRIPTS
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # The real corpus has some hundred files without a transcript.
    path.write_text(
        "".join(line for line in lines if "S0724W0122" not in line)
        + "BAC009S0999W0001 没有声音\n",
        encoding="utf-8",
    )
    (wav / "train" / "S0002" / "BAC009S0002W0121.wav").write_bytes(b"")
    write_noise(wav / "test" / "S0764" / "BAC009S0764W0121.wav", seconds=0)
    prepare(tmp_path)
    reasons = {
        name: dict(read_rows(tmp_path / "data" / name / "dropped"))
        for name in ("train", "dev", "test")
    }
    assert reasons["train"].pop("BAC009S0999W0001") == "has a transcript and no audio"
    assert "0 bytes" in reasons["train"].pop("BAC009S0002W0121")
    assert reasons["dev"].pop("BAC009S0724W0122") == "has audio and no transcript"
    assert "0 samples" in reasons["test"].pop("BAC009S0764W0121")
    assert not any(reasons.values())
    assert "train: 2 of 7 utterances cannot be used" in capsys.readouterr().out
