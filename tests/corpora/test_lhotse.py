"""Any corpus of lhotse: its splits become three sets, its audio becomes readable."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_corpora import make_yesno, write_noise

from espnet_blankskip.corpora import (
    CorpusOptions,
    cli,
    lhotse_recipes,
    manifests,
    prepare_corpus,
    splits,
)
from espnet_blankskip.kaldi.lists import read_rows

lhotse = pytest.importorskip("lhotse")
from lhotse import (  # noqa: E402
    CutSet,
    Recording,
    RecordingSet,
    SupervisionSegment,
    SupervisionSet,
)


def prepare(tmp_path, name, **options):
    options = CorpusOptions(downloads=tmp_path / "downloads", **options)
    prepare_corpus(name, tmp_path / "data", options)
    return tmp_path / "data"


def texts(data):
    return {path.name: read_rows(path / "text") for path in sorted(data.iterdir())}


def as_manifests(recordings, supervisions):
    return {
        "recordings": RecordingSet.from_recordings(recordings),
        "supervisions": SupervisionSet.from_segments(supervisions),
    }


def said(recording, number, start=0.0, duration=None, speaker="ann", **more):
    return SupervisionSegment(
        id=f"{recording.id}_{number}",
        recording_id=recording.id,
        start=start,
        duration=recording.duration if duration is None else duration,
        speaker=speaker,
        **{"channel": 0, "text": f"WORD {number}", **more},
    )


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Add ``prepare_made`` to lhotse; it returns what the test puts into the list."""
    results = []
    monkeypatch.setenv("MADE", str(tmp_path))

    def prepare_made(corpus_dir, output_dir=None, scale=1):
        return results[0](corpus_dir) if callable(results[0]) else results[0]

    monkeypatch.setattr(lhotse.recipes, "prepare_made", prepare_made, raising=False)
    return results


def test_yesno_has_a_share_of_train_held_out(tmp_path, monkeypatch):
    monkeypatch.setenv("YESNO", str(make_yesno(tmp_path / "corpora")))
    found = texts(prepare(tmp_path, "lhotse:yesno"))
    assert {name: len(rows) for name, rows in found.items()} == {
        "dev": 2,
        "test": 30,
        "train": 28,
    }
    assert ("0_0_0_0_0_0_0_1", "NO NO NO NO NO NO NO YES") in found["test"]
    wav = dict(read_rows(tmp_path / "data" / "test" / "wav.scp"))["0_0_0_0_0_0_0_1"]
    assert soundfile.info(wav).samplerate == 8000
    # The same seed again, another seed, and the user's own choice.
    again = texts(prepare(tmp_path / "again", "lhotse:yesno"))
    other = texts(prepare(tmp_path / "other", "lhotse:yesno", seed=1))
    assert again == found and other["dev"] != found["dev"]
    chosen = texts(prepare(tmp_path / "own", "lhotse:yesno", valid_splits=("test",)))
    assert chosen["dev"] == found["test"] and len(chosen["test"]) == 2


def test_download_by_lhotse_is_resumed_and_remembered(tmp_path, monkeypatch):
    calls = []

    def download_yesno(target_dir):
        calls.append(target_dir)
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        if len(calls) == 1:
            raise OSError("network is unreachable")
        return make_yesno(Path(target_dir))

    monkeypatch.delenv("YESNO", raising=False)
    monkeypatch.setattr(lhotse.recipes, "download_yesno", download_yesno)
    with pytest.raises(ValueError, match="cannot download yesno: OSError: network is"):
        prepare(tmp_path, "lhotse:yesno")
    prepare(tmp_path, "lhotse:yesno")
    prepare(tmp_path, "lhotse:yesno", seed=1)
    assert calls == [tmp_path / "downloads" / "yesno"] * 2


def test_utterances_of_a_recording_become_segments(tmp_path, recipe):
    long = Recording.from_file(write_noise(tmp_path / "long one.wav", 3.0))
    short = Recording.from_file(write_noise(tmp_path / "short.flac", 1.0))
    found = as_manifests(
        [long, short],
        [
            said(long, 1, 0.25, 1.0),
            said(long, 2, 1.5, 2.0, speaker="Bob B"),  # beyond the end
            said(short, 1, speaker="Bob B"),
            said(short, 2, 0.5, 0.1, text=" "),
            said(long, 3, 3.5, 1.0),
        ],
    )
    recipe.append({"train": found, "dev": found, "test": found})
    data = prepare(tmp_path, "lhotse:made")
    assert read_rows(data / "train" / "segments") == [
        ("Bob_B-long_one_2", "long_one 1.500000 3.000000"),
        ("Bob_B-short_1", "short 0.000000 1.000000"),
        ("ann-long_one_1", "long_one 0.250000 1.250000"),
    ]
    assert read_rows(data / "train" / "wav.scp") == [
        ("long_one", str(tmp_path / "long one.wav")),
        ("short", str(tmp_path / "short.flac")),
    ]
    assert (data / "train" / "spk2utt").read_text().splitlines() == [
        "Bob_B Bob_B-long_one_2 Bob_B-short_1",
        "ann ann-long_one_1",
    ]
    assert dict(read_rows(data / "train" / "dropped")) == {
        "ann-short_2": "transcript is empty",
        "ann-long_one_3": "begins after the end of its recording",
    }


def test_other_audio_is_read_by_lhotse_and_written(tmp_path, recipe, monkeypatch):
    path = write_noise(tmp_path / "call.wav", 2.0, rate=8000, channels=2)
    audio, _ = soundfile.read(path, dtype="float32")
    call = Recording.from_file(path)
    command = Recording.from_file(write_noise(tmp_path / "x.wav"))
    command.sources[0].type, command.sources[0].source = "command", "no-such-program"
    sphere = Recording.from_file(write_noise(tmp_path / "y.wav"))
    Path(tmp_path / "y.sph").write_text("shorten")
    sphere.sources[0].source = str(tmp_path / "y.sph")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"")

    def result(corpus_dir):
        whole = Recording.from_file(write_noise(tmp_path / "z.wav"))
        empty = Recording.from_file(broken)
        found = as_manifests(
            [call, command, sphere, whole, empty],
            [
                said(call, 1, 0.5, 1.0, channel=1),
                said(call, 2, 0.0, 0.5, channel=[0, 1]),
                said(command, 1),
                said(sphere, 1),
                said(whole, 1),
                said(empty, 1),
            ],
        )
        return {"train": found, "test": found, "dev": found}

    recipe.append(result)
    monkeypatch.setattr(manifests, "which", lambda name: None)
    data = prepare(tmp_path, "lhotse:made")
    wavs = dict(read_rows(data / "dev" / "wav.scp"))
    assert sorted(wavs) == ["call_1", "call_2", "z_1"]
    for utt_id, expected in (
        ("call_1", audio[4000:12000, 1]),
        ("call_2", audio[:4000, 0]),
    ):
        written, rate = soundfile.read(wavs[utt_id], dtype="float32")
        assert rate == 8000
        np.testing.assert_allclose(written, expected, atol=1e-4)
    assert wavs["z_1"] == str(tmp_path / "z.wav")
    reasons = dict(read_rows(data / "dev" / "dropped"))
    assert "lhotse cannot read it" in reasons["x_1"]
    assert "needs sph2pipe" in reasons["y_1"]
    assert "audio file is empty (0 bytes)" in reasons["broken_1"]


def one_split(tmp_path, name, count=3):
    recording = Recording.from_file(write_noise(tmp_path / f"{name}.wav", count))
    supervisions = [said(recording, n, float(n), 1.0) for n in range(count)]
    return as_manifests([recording], supervisions)


SHAPES = {
    "plain": (lambda m: m, {"all"}),
    "pair": (lambda m: (m["recordings"], m["supervisions"]), {"all"}),
    "cuts": (lambda m: CutSet.from_manifests(**m), {"all"}),
    "by-split": (lambda m: {"train": m, "tst-COMMON": m}, {"train", "tst-COMMON"}),
    "nested": (lambda m: {"en": {"train": m, "dev": m}}, {"en/train", "en/dev"}),
    "cuts-by-split": (
        lambda m: {"DEV": {"cuts": CutSet.from_manifests(**m).trim_to_supervisions()}},
        {"DEV"},
    ),
    "noise": (
        lambda m: {"noise": {"recordings": m["recordings"]}, "train": m},
        {"train"},
    ),
    "nothing": (lambda m: None, set()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_result_is_read(tmp_path, shape):
    make, names = SHAPES[shape]
    found = splits.read_splits(make(one_split(tmp_path, "a")))
    assert set(found) == names
    for split in found.values():
        assert set(split.recordings) == {"a"}
        assert [(s.start, s.end) for s in split.supervisions] == [
            (0, 1),
            (1, 2),
            (2, 3),
        ]


@pytest.mark.parametrize(
    "names, chosen, expected",
    [
        (["train", "dev", "test"], {}, (["train"], ["dev"], ["test"])),
        (["TRAIN", "validation"], {}, (["TRAIN"], ["validation"], [])),
        (["a/train", "a/dev", "b/train"], {}, (["a/train", "b/train"], ["a/dev"], [])),
        (["train_dev", "eval0", "train5"], {}, (["train5"], ["train_dev"], ["eval0"])),
        (["all"], {}, (["all"], [], [])),
        (["train", "callhome"], {}, (["train"], [], [])),
        (["a", "b"], {"test": ["b"]}, (["a"], [], ["b"])),
        (["train", "dev", "test"], {"train": ["dev"]}, (["dev"], [], ["test"])),
    ],
)  # fmt: skip
def test_splits_are_assigned_by_the_words_in_their_names(names, chosen, expected):
    roles = splits.assign(names, chosen)
    assert (roles["train"], roles["valid"], roles["test"]) == expected


@pytest.mark.parametrize(
    "chosen, message",
    [
        (
            {"valid": ["devv"]},
            "--valid_splits devv: the corpus has no such split; .* dev",
        ),
        (
            {"train": ["dev"], "valid": ["dev"]},
            "--valid_splits dev: it is also in --tra",
        ),
    ],
)
def test_wrong_choice_of_splits_is_named(chosen, message):
    with pytest.raises(ValueError, match=message):
        splits.assign(["train", "dev"], chosen)


@pytest.mark.parametrize("speakers, whole", [(20, True), (2, False)])
def test_speakers_are_held_out_whole_where_there_are_enough(tmp_path, speakers, whole):
    recording = Recording.from_file(write_noise(tmp_path / "a.wav"))
    supervisions = [
        said(recording, number, speaker=f"s{number % speakers}")
        for number in range(100)
    ]
    stays, taken = splits.hold_out(splits.Split({}, supervisions), 0, "dev")
    assert len(taken.supervisions) == 5
    assert len(stays.supervisions) == 95
    both = {s.speaker for s in stays.supervisions} & {
        s.speaker for s in taken.supervisions
    }
    assert bool(both) != whole


@pytest.mark.parametrize(
    "speakers",
    [
        ["a", "a-b", "a"],
        ["ann", "bob", "ann"],
        [None, None, None],
        ["x y", "x", "x/y"],
        ["b", None, "a"],
    ],
)
def test_ids_and_speakers_sort_alike(tmp_path, speakers):
    recording = Recording.from_file(write_noise(tmp_path / "a.wav"))
    supervisions = [said(recording, n, speaker=s) for n, s in enumerate(speakers)]
    names = list(manifests.kaldi_names(supervisions).values())
    assert len({utt_id for utt_id, _ in names}) == 3
    assert sorted(names) == sorted(names, key=lambda name: (name[1], name[0]))
    assert not any(re.search(r"[\s/]", part) for name in names for part in name)


def test_audio_that_does_not_fit_on_the_disk_is_not_written(
    tmp_path, recipe, monkeypatch
):
    path = write_noise(tmp_path / "call.wav", 1.0, channels=2)
    recording = Recording.from_file(path)
    found = as_manifests([recording], [said(recording, 1)])
    recipe.append({"train": found, "test": found, "dev": found})
    monkeypatch.setattr(manifests, "BYTES_PER_SAMPLE", 10**15)
    with pytest.raises(
        OSError, match="too little disk space, .* for the audio of train"
    ):
        prepare(tmp_path, "lhotse:made")
    assert not list((tmp_path / "data").iterdir())


def test_missing_lhotse_is_said_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lhotse.recipes", None)
    with pytest.raises(ValueError, match=r"pip install 'espnet_blankskip\[recipe\]'"):
        prepare(tmp_path, "lhotse:yesno")


def test_option_values_are_python_or_text():
    words = ["parts=['a','b']", "jobs=4", "norm=lower", "path=/a=b"]
    assert lhotse_recipes.parse_options(words) == {
        "parts": ["a", "b"],
        "jobs": 4,
        "norm": "lower",
        "path": "/a=b",
    }


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["yesno", "--lhotse_options", "speed"], "'speed' must be name=value"),
        (
            ["yesno", "--lhotse_options", "a=1 b=2"],
            "prepare_yesno takes corpus_dir, out",
        ),
        (
            ["yesno", "--lhotse_options", "corpus_dir=/no"],
            "cannot prepare yesno in /no: ",
        ),
        (["switchboard"], "set SWITCHBOARD to the folder of the corpus switchboard"),
        (["gale_arabic", "--lhotse_options", "audio_dirs=."], "transcript_dirs=..."),
        (["librispech"], "did you mean librispeech"),
    ],
)
def test_user_errors_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main([f"lhotse:{arguments[0]}", *arguments[1:]]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_corpus_without_transcripts_says_so(tmp_path, recipe):
    recording = Recording.from_file(write_noise(tmp_path / "a.wav"))
    recipe.append({"music": {"recordings": RecordingSet.from_recordings([recording])}})
    with pytest.raises(
        ValueError, match="no transcribed speech of made in .*; is it the"
    ):
        prepare(tmp_path, "lhotse:made")


def test_corpus_without_a_training_split_says_so(tmp_path, recipe):
    recipe.append({"test": one_split(tmp_path, "a")})
    with pytest.raises(
        ValueError, match="made has no training split among test; choose"
    ):
        prepare(tmp_path, "lhotse:made")


def test_warnings_of_a_recipe_are_counted(tmp_path, recipe, capsys, caplog):
    import logging

    found = one_split(tmp_path, "a", 20)

    def result(corpus_dir):
        for number in range(50):
            logging.warning(f"no transcript: {number}")  # noqa: LOG015, lhotse's way
        return found

    recipe.append(result)
    prepare(tmp_path, "lhotse:made")
    assert "lhotse: 47 more warnings about made" in capsys.readouterr().out
    assert len([r for r in caplog.records if "no transcript" in r.message]) == 3
