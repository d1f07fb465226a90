"""Data folders are whole or absent."""

import shutil

import pytest
import soundfile
from made_corpora import usable

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
    assert usable(path, FS) == (["ann-2", "ann_x-1", "bob-1"], [])
    for line in (path / "wav.scp").read_text().splitlines():
        info = soundfile.info(line.split()[1])
        assert (info.samplerate, info.subtype, info.channels) == (FS, "PCM_16", 1)


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
    assert usable(earlier, FS)[0] == ["ann-1", "ann-2", "bob-1"]


def test_rest_of_a_killed_run_is_not_taken_for_data(tmp_path, speech):
    killed = DataFolderWriter(tmp_path / "test", FS, "human")
    killed.add("ann-1", "ann", "march third", speech)
    assert not (tmp_path / "test").exists()
    path = write_folder(tmp_path / "test", speech, ("bob-1",))
    assert usable(path, FS) == (["bob-1"], [])
    assert not (path / "wav" / "ann").exists()


def test_foreign_data_is_never_overwritten(tmp_path, speech):
    path = write_folder(tmp_path / "set", speech)
    (path / "corpus.json").unlink()
    assert read_record(path) is None
    with pytest.raises(FileExistsError, match="was not made by this command"):
        DataFolderWriter(path, FS, "human")
    shutil.rmtree(path)
    assert DataFolderWriter(path, FS, "human").utterances == 0
