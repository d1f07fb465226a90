"""What is listed, and that every utterance has one name of its own."""

import os

import pytest

from espnet_blankskip.transcripts.inputs import list_utterances


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of several kinds; the current folder is the one that holds them."""
    for name in (
        "a.wav", "b/a.flac", "b/c.MP3", "b/deep/d e.ogg", "notes.txt", ".hidden.wav",
        ".trash/x.wav", "two/a.wav",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "wav.scp").write_text("one a.wav\ntwo  b/a.flac\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(*inputs, stdin=(), **options):
    return [(u.utt_id, u.path) for u in list_utterances(inputs, stdin, **options)]


CASES = {
    "file": (["a.wav"], [("a", "a.wav")]),
    "folder, with those below it": (
        ["b"],
        [("a", "b/a.flac"), ("c", "b/c.MP3"), ("deep/d e", "b/deep/d e.ogg")],
    ),
    "list": (["wav.scp"], [("one", "a.wav"), ("two", "b/a.flac")]),
    "missing file, found out later": (["no.wav"], [("no", "no.wav")]),
    "same file twice": (["a.wav", "a.wav"], [("a", "a.wav")]),
    "same stem": (
        ["a.wav", "two/a.wav", "b/c.MP3"],
        [("a.wav", "a.wav"), ("two-a.wav", "two/a.wav"), ("c", "b/c.MP3")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_inputs_become_named_utterances(name, folder):
    inputs, expected = CASES[name]
    assert listed(*inputs) == expected


def test_audio_of_a_folder_that_cannot_be_read_is_listed_unless_it_has_a_twin(folder):
    for name in ("film.mp4", "talk.M4A", "a.webm", "slides.pdf"):
        (folder / "two" / name).touch()
    assert listed("two") == [
        ("a", "two/a.wav"),
        ("film", "two/film.mp4"),
        ("talk", "two/talk.M4A"),
    ]


def test_dash_reads_paths_line_by_line(folder):
    lines = ["\ufeffa.wav\n", "\n", "b/deep/d e.ogg\r\n"]
    assert listed("-", stdin=lines) == [("a", "a.wav"), ("d e", "b/deep/d e.ogg")]


def test_names_are_one_field(folder):
    assert listed("b/deep", spaces=False) == [("d_e", "b/deep/d e.ogg")]
    assert listed("x\ty\n.wav") == [("x_y_", "x\ty\n.wav")]
    raw = os.fsdecode(b"caf\xe9.wav")
    assert listed(raw) == [("caf?", raw)]


def test_names_do_not_depend_on_other_inputs_unless_they_clash(folder):
    assert set(listed("b")) <= set(listed("b", "two")) | {("a", "b/a.flac")}


@pytest.mark.parametrize(
    "inputs, words",
    [
        (["empty"], "empty: no audio"),
        (["-"], "standard input: no audio"),
        (["none.scp"], "none.scp"),
        (["a b.wav", "a_b.wav"], "both be called 'a_b'"),
        (["twice.scp"], "'x' is listed twice"),
        (["wav.scp", "other.scp"], "a.wav and two/a.wav would both be called 'one'"),
        (["wav.scp", "one.flac"], None),
    ],
)
def test_what_cannot_be_listed_is_said(inputs, words, folder):
    (folder / "empty").mkdir()
    (folder / "other.scp").write_text("one two/a.wav\n")
    (folder / "twice.scp").write_text("x a.wav\nx b.wav\n")
    if words is None:
        assert [name for name, _ in listed(*inputs)] == ["one", "two", "one.flac"]
        return
    with pytest.raises((ValueError, OSError), match=words):
        listed(*inputs, spaces=False)
