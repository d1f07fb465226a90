"""Data folders are whole or absent, and the checker names every unusable utterance."""

import shutil

import numpy as np
import pytest
import soundfile

from espnet_blankskip.corpora import check_data_folder
from espnet_blankskip.corpora.data_folder import DataFolderWriter, read_record
from espnet_blankskip.corpora.speech_synthesis import Voice, speak
from espnet_blankskip.corpora.staging import StagedSets

FS = 8000


@pytest.fixture(scope="module")
def speech():
    """A spoken sentence, (samples,)."""
    return 0.5 * speak("march third", Voice("en-us", "f2"), FS)


def write_folder(path, speech, utt_ids=("ann-1", "ann-2", "bob-1")):
    folder = DataFolderWriter(path, FS, "human")
    for utt_id in utt_ids:
        folder.add(utt_id, utt_id.split("-")[0], "march third", speech)
    folder.commit({"corpus": "made"})
    return path


def test_lists_are_sorted_and_agree(tmp_path, speech):
    path = write_folder(tmp_path / "set", speech, ("bob-1", "ann-2", "ann_x-1"))
    assert (path / "utt2spk").read_text() == "ann-2 ann\nann_x-1 ann_x\nbob-1 bob\n"
    assert (path / "spk2utt").read_text() == "ann ann-2\nann_x ann_x-1\nbob bob-1\n"
    assert (path / "speech_kind").read_text() == "human\n"
    assert check_data_folder(path, FS) == (["ann-2", "ann_x-1", "bob-1"], [])
    for line in (path / "wav.scp").read_text().splitlines():
        info = soundfile.info(line.split()[1])
        assert (info.samplerate, info.subtype, info.channels) == (FS, "PCM_16", 1)


def edit(path, name, old, new):
    text = (path / name).read_text()
    assert old in text
    (path / name).write_text(text.replace(old, new))


def wav(path):
    return path / "wav" / "ann" / "ann-2.wav"


def cut(file):
    file.write_bytes(file.read_bytes()[:-1000])


def float_wav(file, value):
    audio, _ = soundfile.read(file)
    audio[10] = value
    soundfile.write(file, audio, FS, subtype="FLOAT")


SPOILED = {
    "missing": (lambda p: wav(p).unlink(), "no such audio file"),
    "empty": (lambda p: wav(p).write_bytes(b""), "empty (0 bytes)"),
    "no-samples": (lambda p: soundfile.write(wav(p), np.zeros(0), FS), "0 samples"),
    "not-audio": (lambda p: wav(p).write_text("hello " * 50), "cannot be read"),
    "truncated": (lambda p: cut(wav(p)), "truncated"),
    "shorter": (
        lambda p: soundfile.write(wav(p), np.zeros(100), FS),
        "truncated: 100 of",
    ),
    "rate": (
        lambda p: soundfile.write(wav(p), np.zeros(2 * FS), 2 * FS),
        "sampling rate is 16000 Hz",
    ),
    "stereo": (
        lambda p: soundfile.write(wav(p), np.zeros((FS, 2)), FS),
        "has 2 channels",
    ),
    "nan": (lambda p: float_wav(wav(p), np.nan), "NaN or infinite"),
    "infinite": (lambda p: float_wav(wav(p), np.inf), "NaN or infinite"),
    "empty-text": (
        lambda p: edit(p, "text", "ann-2 march third", "ann-2 "),
        "transcript is empty",
    ),
    "no-text": (
        lambda p: edit(p, "text", "ann-2 march third\n", ""),
        "has no transcript",
    ),
    "no-speaker": (
        lambda p: edit(p, "utt2spk", "ann-2 ann\n", ""),
        "has no speaker",
    ),
    "duplicate": (
        lambda p: edit(p, "wav.scp", "ann-2 ", "ann-2 a.wav\nann-2 "),
        "id is 2 times",
    ),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_checker_names_the_bad_utterance_and_keeps_the_rest(tmp_path, speech, kind):
    path = write_folder(tmp_path / "set", speech)
    spoil, reason = SPOILED[kind]
    spoil(path)
    good, problems = check_data_folder(path, FS)
    assert good == ["ann-1", "bob-1"]
    assert [utt_id for utt_id, _ in problems] == ["ann-2"]
    assert reason in problems[0][1]
    assert "\n" not in problems[0][1]


def test_checker_reports_unsorted_ids_and_transcripts_without_audio(tmp_path, speech):
    path = write_folder(tmp_path / "set", speech)
    lines = (path / "wav.scp").read_text().splitlines(keepends=True)
    (path / "wav.scp").write_text(lines[1] + lines[0])
    good, problems = check_data_folder(path, FS)
    assert good == ["ann-2", "ann-1"]
    assert problems == [
        ("ann-1", "id is not sorted: it comes after ann-2"),
        ("bob-1", "has a transcript and no wav file"),
    ]


def test_checker_names_a_missing_list(tmp_path, speech):
    path = write_folder(tmp_path / "set", speech)
    (path / "text").unlink()
    with pytest.raises(FileNotFoundError, match="text is missing"):
        check_data_folder(path, FS)


@pytest.mark.parametrize(
    "utt_id, speaker, message",
    [
        ("ann-1", "ann", "used twice"),
        ("bob-1", "ann", "must start with its speaker"),
        ("ann-x-1", "ann-x", "must have none"),
    ],
)
def test_writer_refuses_ids_that_kaldi_refuses(
    tmp_path, speech, utt_id, speaker, message
):
    folder = DataFolderWriter(tmp_path / "set", FS, "human")
    folder.add("ann-1", "ann", "march third", speech)
    with pytest.raises(ValueError, match=message):
        folder.add(utt_id, speaker, "march third", speech)


def test_failure_leaves_no_set_and_keeps_the_earlier_ones(tmp_path, speech):
    earlier = write_folder(tmp_path / "test", speech)
    with pytest.raises(KeyboardInterrupt):
        with StagedSets(tmp_path, FS, {}) as sets:
            for name in ("train_nodev", "test"):
                sets.open(name).add("eve-1", "eve", "march third", speech)
            raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["test"]
    assert check_data_folder(earlier, FS)[0] == ["ann-1", "ann-2", "bob-1"]


def test_rest_of_a_killed_run_is_not_taken_for_data(tmp_path, speech):
    killed = DataFolderWriter(tmp_path / "test", FS, "human")
    killed.add("ann-1", "ann", "march third", speech)
    assert not (tmp_path / "test").exists()
    path = write_folder(tmp_path / "test", speech, ("bob-1",))
    assert check_data_folder(path, FS) == (["bob-1"], [])
    assert not (path / "wav" / "ann").exists()


def test_foreign_data_is_never_overwritten(tmp_path, speech):
    path = write_folder(tmp_path / "set", speech)
    (path / "corpus.json").unlink()
    assert read_record(path) is None
    with pytest.raises(FileExistsError, match="was not made by this command"):
        DataFolderWriter(path, FS, "human")
    shutil.rmtree(path)
    assert DataFolderWriter(path, FS, "human").utterances == 0
