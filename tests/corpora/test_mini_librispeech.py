"""Mini LibriSpeech: its sets from either choice of parts, and which one is said."""

import pytest
import soundfile
from made_corpora import MINI_PARTS, OTHER_PARTS, make_librispeech, usable

from espnet_blankskip.corpora import CorpusOptions, prepare_corpus, sources
from espnet_blankskip.corpora.mini_librispeech import SET_NAMES
from espnet_blankskip.evaluation.results_file import set_title
from espnet_blankskip.kaldi.lists import read_rows, read_table

CHOICES = {
    "openslr": (MINI_PARTS, "flac", "LibriSpeech test-clean"),
    "other": (OTHER_PARTS, "ogg", "12 of 40 speakers of LibriSpeech test-clean"),
}


def prepare(tmp_path):
    options = CorpusOptions(downloads=tmp_path / "downloads")
    return prepare_corpus("mini_librispeech", tmp_path / "data", options)


@pytest.mark.parametrize("place", ["corpora", "corpora/LibriSpeech"])
@pytest.mark.parametrize("choice", CHOICES)
def test_both_choices_make_the_same_sets_and_say_of_what(
    tmp_path, monkeypatch, choice, place
):
    parts, suffix, content = CHOICES[choice]
    root = make_librispeech(tmp_path / "corpora", parts, suffix=suffix)
    monkeypatch.setenv("MINI_LIBRISPEECH", str(tmp_path / place))
    prepare(tmp_path)
    for name, part in zip(SET_NAMES, parts):
        folder = tmp_path / "data" / name
        assert len(usable(folder, fs=16000)[0]) == 4 and not usable(folder)[1]
        for utt_id, path in read_rows(folder / "wav.scp"):
            assert path.startswith(str(root / part)) and utt_id in path
            samples = read_table(folder / "utt2num_samples")[utt_id]
            assert int(samples) == soundfile.info(path).frames
        assert {text for _, text in read_rows(folder / "text")} == {"GO DO YOU HEAR"}
    title = set_title("test", tmp_path / "data" / "test")
    assert title.startswith(f"test ({content}")


def test_what_lies_beside_the_checkout_is_used_if_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.delenv("MINI_LIBRISPEECH", raising=False)
    monkeypatch.setattr(sources, "search_roots", lambda: [tmp_path])
    make_librispeech(tmp_path, OTHER_PARTS, suffix="ogg")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "LibriSpeech").rename(tmp_path / "shared" / "data" / "librispeech")
    prepare(tmp_path)
    assert len(read_rows(tmp_path / "data" / "test" / "text")) == 4


def test_downloads_are_the_parts_of_openslr(tmp_path, monkeypatch):
    monkeypatch.delenv("MINI_LIBRISPEECH", raising=False)
    asked = []

    def download(corpus, target_dir, dataset_parts):
        asked.extend(dataset_parts)
        make_librispeech(target_dir, dataset_parts)

    monkeypatch.setattr("espnet_blankskip.corpora.lhotse_recipes.download", download)
    make_librispeech(tmp_path / "downloads", ["test-clean"])
    prepare(tmp_path)
    assert asked == ["train-clean-5", "dev-clean-2"]
    assert len(read_rows(tmp_path / "data" / "train_clean_5" / "text")) == 4


def test_broken_utterances_and_wrong_folders_are_named(tmp_path, monkeypatch):
    root = make_librispeech(tmp_path / "corpora", MINI_PARTS)
    monkeypatch.setenv("MINI_LIBRISPEECH", str(root))
    first, second = sorted((root / "test-clean").rglob("*.flac"))[:2]
    first.write_bytes(b"")
    second.unlink()
    prepare(tmp_path)
    dropped = dict(read_rows(tmp_path / "data" / "test" / "dropped"))
    assert "0 bytes" in dropped[first.stem]
    assert dropped[second.stem] == "has a transcript and no audio"
    (root / "dev-clean-2").rename(tmp_path / "dev-clean-2")
    with pytest.raises(
        ValueError, match="MINI_LIBRISPEECH: .* has no train-clean-5, d"
    ):
        prepare(tmp_path / "again")
