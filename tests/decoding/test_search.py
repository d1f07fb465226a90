"""Decoding options choose a search, or are refused in one line that names them."""

import builtins
import sys

import numpy
import pytest
from exhaustive_ctc import write_arpa
from search_extra import needs_search

from espnet_blankskip.decoding.greedy import GreedySearch
from espnet_blankskip.decoding.search import build_search
from espnet_blankskip.decoding.search_options import SearchOptions

TOKENS = ["<blank>", "<unk>", "▁one", "▁two", "s", "<sos/eos>"]
UNIGRAMS = {"<unk>": -1.0, "<s>": -99.0, "</s>": -1.0, "one": -0.5}


@pytest.fixture
def files(tmp_path):
    write_arpa(tmp_path / "words.arpa", UNIGRAMS, {("<s>", "one"): -0.3})
    for name, text in {
        "lexicon": "one ▁one\nones\t▁one s\n",
        "other": "three ▁two\n",
        "tokenless": "one ▁one\ntwo\n",
        "foreign": "one ▁one\ntwo ▁two z\n",
        "blank": "one <blank>\n",
        "empty": "\n",
        "broken.arpa": "\\data\\\nngram 1=9\n",
        "lm.pth": "PK\x03\x04",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    return tmp_path


def test_numbers_are_read_however_they_are_given():
    given = SearchOptions(numpy.int64(4), "3", "a.arpa", lm_weight=numpy.float32(0.5))
    assert given == SearchOptions(4, 3, "a.arpa", lm_weight=0.5)
    assert SearchOptions(2, lm_file="a.arpa").lm_weight == 0.5  # unless it is given


def test_beam_one_without_more_is_greedy():
    assert isinstance(build_search(TOKENS), GreedySearch)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(beam_size=0), "beam_size=0 must be at least 1"),
        (dict(nbest=2), "nbest=2 must lie in 1..1 for beam_size=1"),
        (dict(beam_size=5, nbest=0), "nbest=0 must lie in 1..5 for beam_size=5"),
        (dict(beam_size=5, nbest=6), "nbest=6 must lie in 1..5 for beam_size=5"),
        (dict(lm_weight=-1.0), "lm_weight=-1.0 must be at least 0"),
        (dict(lm_weight=float("nan")), "lm_weight=nan must be at least 0"),
        (dict(lm_weight=0.3), "lm_weight=0.3 needs lm_file"),
        (dict(beam_size=2.5), "beam_size=2.5 must be a whole number"),
        (dict(beam_size="many"), "beam_size=many must be a whole number"),
        (dict(beam_size=True), "beam_size=True must be a whole number"),
        (dict(beam_size=2, nbest="1.5"), "nbest=1.5 must be a whole number"),
        (dict(word_score=1.0), "word_score=1.0 needs a lexicon"),
        (dict(lm_file="nowhere.arpa"), "lm_file=.*nowhere.arpa does not exist"),
        (dict(lm_file="lm.pth"), "lm_file=.*lm.pth is not an n-gram in ARPA or KenLM"),
        (dict(lm_file="broken.arpa"), "lm_file=.*broken.arpa is not an n-gram"),
        (dict(lm_file="words.arpa"), "an n-gram over words needs a lexicon"),
        (
            dict(lm_file="words.arpa", lexicon="other"),
            "none of the 1 entries of the lex",
        ),
        (dict(lexicon="nowhere"), "nowhere"),
        (dict(lexicon="tokenless"), "line 2: 'two' has no tokens"),
        (dict(lexicon="foreign"), "line 2: 'z' of 'two' is not among the model's 5"),
        (dict(lexicon="blank"), "line 1: '<blank>' of 'one' is not among"),
        (dict(lexicon="empty"), "has no words"),
        (dict(lexicon="binary"), "is not text in UTF-8"),
    ],
)
def test_wrong_options_are_named(files, options, words):
    for name in ("lm_file", "lexicon"):
        if name in options:
            options = {**options, name: files / options[name]}
            pytest.importorskip("flashlight.lib.text", reason="an extra")
    with pytest.raises((ValueError, OSError), match=words) as caught:
        build_search(TOKENS, SearchOptions(**options))
    assert "\n" not in str(caught.value)


def test_words_that_the_ngram_lacks_are_counted(files, caplog):
    pytest.importorskip("flashlight.lib.text", reason="an extra")
    build_search(
        TOKENS,
        SearchOptions(5, lm_file=files / "words.arpa", lexicon=files / "lexicon"),
    )
    assert "knows 1 of the 2 entries of the lexicon" in caplog.text


@pytest.mark.parametrize("package", ["flashlight", "kenlm"])
@needs_search
def test_a_missing_package_is_named_with_its_cure(monkeypatch, package):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    for name in list(sys.modules):
        if name.startswith("espnet_blankskip.decoding.") and name.split(".")[-1] in (
            "beam",
            "lexicon_model",
            "ngram",
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=package) as caught:
        build_search(TOKENS, SearchOptions(beam_size=2))
    assert "pip install 'espnet_blankskip[search]'" in str(caught.value)
    assert isinstance(build_search(TOKENS), GreedySearch)
