"""Tokens of every type become words, each with its time and confidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_blankskip.decoding.words import Word, join_words, words_of


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
        pytest.param("bpe", ["▁ok", "你", "▁o", "k"], ["ok", "你", "ok"], id="mixed"),
        pytest.param("bpe", ["▁你好", "吗"], ["你好", "吗"], id="bpe-chinese-pieces"),
        pytest.param("char", list("ab") + ["<space>", "c"], ["ab", "c"], id="char"),
        pytest.param("char", ["<space>", "a", "<space>"], ["a"], id="outer-spaces"),
        pytest.param("char", list("a你bc"), ["a", "你", "bc"], id="char-mixed"),
        pytest.param("phn", ["HH", "AH"], ["HH", "AH"], id="other-types"),
        pytest.param("bpe", [], [], id="nothing"),
    ],
)
def test_words_of_each_token_type(token_type, token, words):
    assert [w.text for w in spoken(token, token_type)] == words


#: Phrases of languages that write no spaces, with other scripts and marks between.
SENTENCES = {
    "japanese": "今日は 天気です。 東京に 行きました",
    "chinese": "我们 去 北京 大学 学习， 今天 是 晴天。",
    "thai": "วัน นี้ อากาศ ดี มาก เรา ไป โรงเรียน",
    "lao": "ສະ ບາ ຍ ດີ ເຈົ້າ",
    "khmer": "ខ្ញុំ ស្រ ឡា ញ់",
    "burmese": "မြ န် မာ စာ",
    "mixed": "我 用 Python 写",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_scripts_without_spaces_come_out_as_phrases(language):
    phrases = SENTENCES[language].split()
    words = spoken(list("".join(phrases)), "char")
    assert [w.text for w in words] == phrases
    assert [w.spaced for w in words] == [True] + [False] * (len(words) - 1)
    assert join_words(words) == "".join(phrases)
    # Pieces of several characters are never cut, so the phrases are larger at most.
    pieces = ["".join(phrases)[i : i + 3] for i in range(0, len("".join(phrases)), 3)]
    assert join_words(spoken(["▁", *pieces], "bpe")) == "".join(phrases)


def test_words_of_many_scripts_are_spaced_as_the_transcript_is():
    token = [*"▁ok 你 好 ▁o k ▁ 你 好 吗".split()]
    words = spoken(token, "bpe")
    assert join_words(words) == "ok你好 ok 你好吗"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A sentencepiece model with bytes for what it has no pieces of."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "text").write_text("hello you there\none two three four\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "bpe"),
        vocab_size=290,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor()
    model.load(str(folder / "bpe.model"))
    return model


@pytest.mark.parametrize(
    "token",
    [
        "▁ <0xE7> <0x94> <0xB7> <0xE7> <0x94> <0xB7>",
        "<0xE7> <0x94> e",
        "<0xE7>",
        "▁ o <0x20> e <0x0A> o",
        "▁ o <0xC3> <0xA9> <0xE7> t",
        "▁ o <0xF0> <0x9F> <0x98> <0x80> ▁ <0xC3>",
        "▁ o <unk> e",
        "<unk> <unk> ▁ o ▁ <unk>",
    ],
)
def test_words_say_what_sentencepiece_writes(pieces, token):
    token = token.split()
    words = spoken(token, "bpe")
    assert join_words(words).split() == pieces.DecodePieces(token).split()
    assert not any("<" in word.text for word in words)


def test_a_character_of_bytes_lasts_from_its_first_to_its_last():
    token = ["▁a", "<0xC3>", "<0xA9>", "▁b"]
    word, _ = spoken(token, "bpe")
    assert word == Word("aé", 0.0, 2.5, pytest.approx(0.8))


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
