"""Subtitles a player accepts and a person can read."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_blankskip.transcripts.subtitles import (
    MAX_CUE_LETTERS,
    MAX_LINE_LETTERS,
    make_cues,
    srt,
    vtt,
)


def words(*listed):
    return [SimpleNamespace(text=t, start=s, end=e) for t, s, e in listed]


TALK = words(("hello", 0.5, 0.7), ("there", 0.9, 1.1), ("<unk>", 4.0, 4.04))


def test_srt_as_players_read_it():
    assert srt(TALK) == (
        "1\n00:00:00,500 --> 00:00:01,500\nhello there\n\n"
        "2\n00:00:04,000 --> 00:00:05,000\n<unk>\n\n"
    )


def test_vtt_as_browsers_read_it():
    assert vtt(TALK) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello there\n\n"
        "00:00:04.000 --> 00:00:05.000\n&lt;unk&gt;\n\n"
    )


def test_no_space_is_put_where_the_transcript_has_none():
    phrases = ["今日は", "天気です。", "東京に", "行きました"]
    said = [
        SimpleNamespace(text=text, start=i, end=i + 0.5, spaced=i == 0)
        for i, text in enumerate(phrases)
    ]
    assert srt(said).split("\n")[2] == "".join(phrases)


def test_wide_letters_count_twice():
    said = [
        SimpleNamespace(text="学习北京", start=0.2 * i, end=0.2 * i + 0.1, spaced=False)
        for i in range(12)
    ]
    first, second = make_cues(said)
    lines = first.text.split("\n")
    assert [len(line) for line in lines] == [20, 20]
    assert len(second.text) == 8


@pytest.mark.parametrize(
    "seconds, stamp",
    [(0.9996, "00:00:01,000"), (59.9999, "00:01:00,000"), (3725.5, "01:02:05,500")],
)
def test_time_stamps_carry_over(seconds, stamp):
    assert f"\n{stamp} --> " in srt(words(("x", seconds, seconds + 1)))


def test_nothing_said_is_no_cue():
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n\n"


@given(
    st.lists(
        st.tuples(
            st.text("abc", min_size=1, max_size=50),
            st.floats(0.0, 3.0),
            st.floats(0.0, 9.0),
        ),
        max_size=30,
    )
)
def test_cues_are_in_order_and_hold_every_word(steps):
    listed, now = [], 0.0
    for text, gap, length in steps:
        listed.append((text, now + gap, now + gap + length))
        now += gap + length
    cues = make_cues(words(*listed))
    assert " ".join(c.text for c in cues).split() == [text for text, _, _ in listed]
    for cue, following in zip(cues, cues[1:]):
        assert cue.end <= following.start
    for cue in cues:
        assert cue.end > cue.start >= 0
        several = len(cue.text.split()) > 1
        assert len(cue.text) <= MAX_CUE_LETTERS or not several
        for line in cue.text.split("\n"):
            assert len(line) <= MAX_LINE_LETTERS or " " not in line
    stamps = re.findall(r"^\d\d:\d\d:\d\d\.\d{3} --> ", vtt(words(*listed)), re.M)
    assert len(stamps) == len(cues)
