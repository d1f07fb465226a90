"""fsdd: connected digits from human recordings, and what happens without them."""

import hashlib
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_corpora import usable
from web_server import serving

from espnet_blankskip.corpora import (
    CorpusOptions,
    finding,
    fsdd,
    prepare_corpus,
    synthetic_digits,
)
from espnet_blankskip.corpora.data_folder import read_record
from espnet_blankskip.evaluation.results_file import set_title
from espnet_blankskip.kaldi.lists import read_rows

SETS = ("train_nodev", "train_dev", "test")
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def recordings():
    """Where the human recordings are on this machine."""
    source = finding.find_source("FSDD", "fsdd", Path("downloads"))
    if source is None:
        pytest.skip("no FSDD recordings: set FSDD or make ../shared/data/fsdd")
    return source.resolve()


@pytest.fixture(scope="module")
def human(recordings, tmp_path_factory):
    """Digits of human speakers with one of them left out."""
    output = tmp_path_factory.mktemp("fsdd")
    options = CorpusOptions(train_hours=0.05, exclude_speaker="jackson")
    prepare_corpus("fsdd", output, options)
    return output


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A machine without recordings and without a network."""
    monkeypatch.delenv("FSDD", raising=False)
    monkeypatch.setattr(finding, "search_roots", lambda: [tmp_path])
    monkeypatch.setattr(fsdd, "ARCHIVE_URL", "http://127.0.0.1:9/fsdd.tar.gz")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """Few utterances and, if they are synthetic, few recordings."""
    monkeypatch.setattr(fsdd, "DEV_UTTERANCES", 5)
    monkeypatch.setattr(fsdd, "TEST_UTTERANCES", 5)
    monkeypatch.setattr(fsdd, "LONG_UTTERANCES", 5)
    monkeypatch.setattr(fsdd, "UNSEEN_SPEAKER_UTTERANCES", 5)
    monkeypatch.setattr(synthetic_digits, "RECORDINGS_PER_DIGIT", 10)


def recordings_of(path):
    """How often each recording is in a set."""
    return Counter(
        name for _, row in read_rows(path / "utt2recordings") for name in row.split()
    )


def wavs_of(path):
    """Bytes of each utterance's wav file."""
    return {utt_id: Path(f).read_bytes() for utt_id, f in read_rows(path / "wav.scp")}


def test_no_recording_is_in_two_sets(human):
    used = [set(recordings_of(human / name)) for name in (*SETS, "test_jackson")]
    assert sum(map(len, used)) == len(set.union(*used))
    parts = {"train_nodev": range(8, 50), "train_dev": range(5, 8), "test": range(5)}
    for name, indices in parts.items():
        found = {int(r.split("_")[2]) for r in recordings_of(human / name)}
        assert found <= set(indices), name


def test_every_test_recording_is_heard_at_least_twice(human):
    counts = recordings_of(human / "test")
    speakers = {name.split("_")[1] for name in counts}
    assert len(counts) == 10 * 5 * len(speakers)
    assert min(counts.values()) >= 2
    assert 240 <= len(read_rows(human / "test" / "text")) <= 260


def test_excluded_speaker_is_only_in_its_own_test_set(human):
    for name in SETS:
        assert not any("jackson" in r for r in recordings_of(human / name))
    own = recordings_of(human / "test_jackson")
    assert {r.split("_")[1] for r in own} == {"jackson"}
    assert len(own) == 500


def test_folders_pass_the_checker_and_say_what_was_said(human):
    for name in (*SETS, "test_jackson"):
        path = human / name
        good, problems = usable(path, fs=8000)
        assert good and not problems
        assert (path / "speech_kind").read_text() == "human\n"
        spoken = dict(read_rows(path / "utt2recordings"))
        for utt_id, text in read_rows(path / "text"):
            digits = [int(r[0]) for r in spoken[utt_id].split()]
            assert text.split() == [fsdd.WORDS[digit] for digit in digits]
            assert 2 <= len(digits) <= 8


def test_long_strings_are_made_of_what_is_tested_and_tables_say_how_long(human):
    path = human / "test_long"
    assert set(recordings_of(path)) <= set(recordings_of(human / "test"))
    lengths = [len(text.split()) for _, text in read_rows(path / "text")]
    assert 90 <= len(lengths) <= 110
    assert (min(lengths), max(lengths)) == (8, 16)
    assert usable(path, fs=8000)[1] == []
    assert set_title("test_long", path) == "test_long (strings of 8 to 16 digits)"


def test_sets_of_before_there_were_long_strings_are_made_again(
    recordings, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("FSDD", str(recordings))
    options = CorpusOptions(train_hours=0.01)
    prepare_corpus("fsdd", tmp_path, options)
    shutil.rmtree(tmp_path / "test_long")
    for name in SETS:
        file = tmp_path / name / "corpus.json"
        record = {**json.loads(file.read_text()), "sets": sorted(SETS)}
        del record["version"]
        file.write_text(json.dumps(record))
    prepare_corpus("fsdd", tmp_path, options)
    assert (tmp_path / "test_long" / "wav.scp").is_file()


def test_audio_has_pauses_noise_and_many_levels(human):
    levels, floors = [], []
    for _, file in read_rows(human / "test" / "wav.scp"):
        audio, rate = soundfile.read(file)
        assert np.abs(audio).max() < 1.0
        # The quietest 20 ms are a pause: far below speech, yet never all zero.
        frames = audio[: len(audio) // 160 * 160].reshape(-1, 160)
        floor = np.sqrt((frames**2).mean(axis=1)).min()
        level = np.sqrt((audio**2).mean())
        levels.append(20 * np.log10(level))
        floors.append(20 * np.log10(floor / level))
    assert np.ptp(levels) > 12
    assert np.max(floors) < -8 and np.ptp(floors) > 15
    assert np.mean(np.isfinite(floors)) > 0.99


def test_train_hours_are_kept(human):
    assert read_record(human / "train_nodev")["hours"] == pytest.approx(0.05, abs=0.01)


def test_same_seed_same_bytes_and_other_seed_other_bytes(
    recordings, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("FSDD", str(recordings))
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        options = CorpusOptions(seed=seed, train_hours=0.01)
        prepare_corpus("fsdd", tmp_path / name, options)
    for name in SETS:
        first, again, other = (
            wavs_of(tmp_path / run / name) for run in ("first", "again", "other")
        )
        assert first == again
        assert not set(first.values()) & set(other.values())


def test_finished_data_are_reused_unless_something_differs(
    recordings, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("FSDD", str(recordings))
    output = tmp_path / "data"
    options = CorpusOptions(train_hours=0.01)
    prepare_corpus("fsdd", output, options)
    stamp = (output / "test" / "text").stat().st_mtime_ns
    lines = prepare_corpus("fsdd", output, options)
    assert (output / "test" / "text").stat().st_mtime_ns == stamp
    assert all("made earlier" in line for line in lines)
    # A set was lost, so that the rest cannot be trusted to fit together.
    (output / "train_dev" / "corpus.json").unlink()
    (output / "train_dev").rename(tmp_path / "lost")
    lines = prepare_corpus("fsdd", output, options)
    assert not any("made earlier" in line for line in lines)
    assert usable(output / "train_dev", 8000)[1] == []


def test_offline_digits_are_synthetic_and_say_so_everywhere(alone, small, capfd):
    options = CorpusOptions(train_hours=0.01, downloads=alone / "downloads")
    lines = prepare_corpus("fsdd", alone / "data", options)
    message = capfd.readouterr().out
    assert "cannot fetch" in message and "SYNTHETIC" in message
    for name in SETS:
        path = alone / "data" / name
        assert (path / "speech_kind").read_text() == "synthetic\n"
        good, problems = usable(path, 8000)
        assert good and not problems
        assert all(utt_id.startswith("synthetic_") for utt_id in good)
    assert all("synthetic speech" in line for line in lines)
    assert not any((alone / "downloads").iterdir())


def test_recordings_are_fetched_once_and_unpacked(alone, small, monkeypatch):
    web = alone / "web"
    web.mkdir()
    tone = np.sin(np.arange(3000) / 5.0) * 0.3
    with tarfile.open(web / "fsdd.tar.gz", "w:gz") as archive:
        for digit in range(10):
            for index in (0, 5, 8):
                name = f"{digit}_ann_{index}.wav"
                soundfile.write(alone / name, tone, 8000, subtype="PCM_16")
                archive.add(alone / name, f"fsdd-1.0.10/recordings/{name}")
    checksum = hashlib.sha256((web / "fsdd.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(fsdd, "ARCHIVE_CHECKSUM", f"sha256:{checksum}")
    options = CorpusOptions(train_hours=0.002, downloads=alone / "downloads")
    with serving(web) as address:
        monkeypatch.setattr(fsdd, "ARCHIVE_URL", f"{address}/fsdd.tar.gz")
        prepare_corpus("fsdd", alone / "data", options)
    assert set(recordings_of(alone / "data" / "test")) == {
        f"{digit}_ann_0" for digit in range(10)
    }
    # The second time nothing is fetched: the server is gone.
    prepare_corpus("fsdd", alone / "again", options)
    assert (alone / "again" / "test" / "speech_kind").read_text() == "human\n"
