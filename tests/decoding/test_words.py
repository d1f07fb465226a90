"""Tokens of every type become words, each with its time and confidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_blankskip.decoding.words import Word, words_of


def spoken(token, token_type):
    times = [(float(i), i + 0.5) for i in range(len(token))]
    confidence = [1.0 - 0.1 * i for i in range(len(token))]
    return words_of(token, times, confidence, token_type)


@pytest.mark.parametrize(
    "token_type, token, words",
    [
        pytest.param("word", ["one", "two"], ["one", "two"], id="word"),
        pytest.param("bpe", ["▁he", "llo", "▁you"], ["hello", "you"], id="bpe"),
        pytest.param("bpe", ["he", "llo"], ["hello"], id="bpe-begins-without-mark"),
        pytest.param("bpe", ["▁", "he", "▁", "x"], ["he", "x"], id="mark-alone"),
        pytest.param("bpe", ["▁a", "▁"], ["a"], id="mark-at-the-end"),
        pytest.param("bpe", ["▁", "你", "好"], ["你", "好"], id="bpe-chinese"),
        pytest.param("bpe", ["▁ok", "你", "▁o", "k"], ["ok", "你", "ok"], id="mixed"),
        pytest.param("bpe", ["▁你好", "吗"], ["你好", "吗"], id="bpe-chinese-pieces"),
        pytest.param("char", list("ab") + ["<space>", "c"], ["ab", "c"], id="char"),
        pytest.param("char", ["<space>", "a", "<space>"], ["a"], id="outer-spaces"),
        pytest.param("char", list("你好"), ["你", "好"], id="char-chinese"),
        pytest.param("char", list("カひ々"), list("カひ々"), id="char-japanese"),
        pytest.param("char", list("a你bc"), ["a", "你", "bc"], id="char-mixed"),
        pytest.param("phn", ["HH", "AH"], ["HH", "AH"], id="other-types"),
        pytest.param("bpe", [], [], id="nothing"),
    ],
)
def test_words_of_each_token_type(token_type, token, words):
    assert [w.text for w in spoken(token, token_type)] == words


def test_a_word_lasts_from_its_first_to_its_last_token_and_is_as_sure_as_the_least():
    words = words_of(
        ["▁he", "l", "lo", "▁you"],
        [(0.1, 0.2), (0.3, 0.4), (0.5, 0.6), (1.0, 1.1)],
        [0.9, 0.4, 0.8, 0.7],
        "bpe",
    )
    assert words == [Word("hello", 0.1, 0.6, 0.4), Word("you", 1.0, 1.1, 0.7)]


def test_a_space_between_characters_counts_in_neither_word():
    words = words_of(
        ["a", "<space>", "b"],
        [(0.0, 0.1), (0.2, 0.3), (0.4, 0.5)],
        [0.9, 0.1, 0.8],
        "char",
    )
    assert words == [Word("a", 0.0, 0.1, 0.9), Word("b", 0.4, 0.5, 0.8)]


@given(st.lists(st.sampled_from(["▁", "▁a", "b", "▁cd", "'s"]), max_size=8))
def test_words_joined_are_the_text_of_word_pieces(token):
    text = "".join(token).replace("▁", " ")
    assert [w.text for w in spoken(token, "bpe")] == text.split()


@given(st.lists(st.sampled_from(["<space>", "a", "b", "'"]), max_size=8))
def test_words_joined_are_the_text_of_characters(token):
    text = "".join(token).replace("<space>", " ")
    assert [w.text for w in spoken(token, "char")] == text.split()
