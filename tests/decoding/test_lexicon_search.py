"""Search with a lexicon says only its words, and weighs them as the n-gram does."""

import itertools

import pytest
import torch
from exhaustive_ctc import (
    ngram_log_prob,
    random_log_probs,
    sequence_log_probs,
    with_skipped_blanks,
    write_arpa,
)
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("flashlight.lib.text", reason="lexicon search is an extra")

from espnet_blankskip.decoding.search import build_search  # noqa: E402
from espnet_blankskip.decoding.search_options import SearchOptions  # noqa: E402

WIDE = 400
# Spellings that begin alike, contain each other, or can be divided in two ways.
LEXICONS = {
    "pieces": (
        ["<blank>", "▁a", "▁b", "c"],
        {"a": "▁a", "ac": "▁a c", "acc": "▁a c c", "b": "▁b"},
    ),
    "no-separator": (
        ["<blank>", "x", "y", "z"],
        {"x": "x", "y": "y", "xy": "x y", "xyz": "x y z", "ZX": "z x"},
    ),
    "space": (
        ["<blank>", "<space>", "x", "y"],
        {"x": "<space> x", "xy": "<space> x y", "yx": "<space> y x"},
    ),
}
UNIGRAMS = {"<unk>": -2.0, "<s>": -99.0, "</s>": -0.5, "x": -0.9, "xy": -0.3, "b": -1}
BIGRAMS = {("<s>", "xy"): -1.5, ("x", "x"): -0.1, ("x", "</s>"): -0.2, ("b", "b"): -0.1}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lexicons")
    arpa = write_arpa(folder / "words.arpa", UNIGRAMS, BIGRAMS)
    for name, (_, spellings) in LEXICONS.items():
        lines = [f"{word}\t{tokens}\n" for word, tokens in spellings.items()]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder, arpa


def sentences(tokens, spellings, longest):
    """Every word sequence and its token ids, up to a number of tokens."""
    ids = {token: i for i, token in enumerate(tokens)}
    for count in range(longest + 1):
        for words in itertools.product(spellings, repeat=count):
            spelled = [ids[t] for w in words for t in spellings[w].split()]
            for spelling in (spelled, spelled[1:] if "<space>" in ids else spelled):
                if len(spelling) <= longest:
                    yield words, tuple(spelling)


@pytest.mark.parametrize("name", LEXICONS)
@pytest.mark.parametrize("with_ngram", [False, True], ids=["lexicon", "ngram"])
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    keep=st.lists(st.booleans(), min_size=1, max_size=5),
    word_score=st.sampled_from([0.0, -0.7, 1.5]),
)
def test_wide_beam_is_the_best_over_all_word_sequences(
    files, name, with_ngram, seed, keep, word_score
):
    folder, arpa = files
    tokens, spellings = LEXICONS[name]
    keep = torch.tensor(keep)
    log_probs = random_log_probs(len(keep), len(tokens), seed, sharpness=1.0)
    ctc = sequence_log_probs(with_skipped_blanks(log_probs, keep))
    worth = {}
    for words, spelled in sentences(tokens, spellings, len(keep)):
        if spelled in ctc:
            value = ctc[spelled] + word_score * len(words)
            if with_ngram:
                value += 0.5 * ngram_log_prob(words, UNIGRAMS, BIGRAMS)
            worth[spelled] = max(value, worth.get(spelled, value))
    search = build_search(
        tokens,
        SearchOptions(
            WIDE,
            nbest=3,
            lm_file=arpa if with_ngram else None,
            lexicon=folder / name,
            lm_weight=0.5 if with_ngram else None,
            word_score=word_score,
        ),
    )
    index = keep.nonzero()[:, 0]
    paths = search(log_probs[index], index)
    expected = sorted(worth.values(), reverse=True)[:3]
    assert [p.score for p in paths] == pytest.approx(expected, abs=1e-3)
    for path in paths:
        assert path.score == pytest.approx(worth[tuple(path.token_int)], abs=1e-3)


def test_a_run_of_the_last_token_is_one_token(files):
    """flashlight-text's own lexicon decoder would read "b", then two blanks."""
    folder, _ = files
    tokens, _ = LEXICONS["pieces"]
    log_probs = torch.tensor([[0.02, 0.01, 0.96, 0.01]] * 3).log()
    search = build_search(tokens, SearchOptions(5, lexicon=folder / "pieces"))
    path = search(log_probs, torch.arange(3))[0]
    assert (path.token_int, path.start, path.end) == ([2], [0], [2])
    assert path.score == pytest.approx(3 * log_probs[0, 2].item(), abs=0.15)


@pytest.mark.parametrize(
    "best, tokens",
    [
        pytest.param([3, 3, 3], [], id="no-word-begins-so"),
        pytest.param([1, 3, 1], [1, 3, 1], id="words"),
        pytest.param([2, 3, 1], [2, 1], id="token-that-fits-nowhere"),
    ],
)
def test_speech_outside_the_lexicon_still_gives_its_words_only(files, best, tokens):
    """Even where all else has probability 0, so that nothing in the lexicon fits."""
    folder, _ = files
    vocabulary, _ = LEXICONS["pieces"]
    log_probs = torch.full((3, 4), -torch.inf)
    log_probs[torch.arange(3), torch.tensor(best)] = 0.0
    for nbest in (1, 3):
        search = build_search(
            vocabulary, SearchOptions(5, nbest, lexicon=folder / "pieces")
        )
        paths = search(log_probs, torch.arange(3))
        assert paths[0].token_int == tokens
        assert len(paths[0].start) == len(paths[0].confidence) == len(tokens)
        assert paths[0].score > -100


def test_an_unfinished_word_is_dropped(tmp_path):
    lexicon = tmp_path / "lexicon"
    lexicon.write_text("first x\nsecond y z\n")
    log_probs = torch.full((2, 4), -torch.inf)
    log_probs[0, 1] = log_probs[1, 2] = 0.0
    search = build_search(["<blank>", "x", "y", "z"], SearchOptions(5, lexicon=lexicon))
    assert search(log_probs, torch.arange(2))[0].token_int == [1]


def test_ngram_over_words_changes_which_words_are_heard(files):
    folder, arpa = files
    tokens, _ = LEXICONS["no-separator"]
    log_probs = torch.tensor([[0.05, 0.9, 0.04, 0.01], [0.05, 0.01, 0.44, 0.5]]).log()

    lexicon = folder / "no-separator"

    def heard(**options):
        search = build_search(tokens, SearchOptions(20, **options))
        return search(log_probs, torch.tensor([0, 4]))[0].token_int

    assert heard() == [1, 3]
    # "x z" is no word sequence of the lexicon; "x y" and "xy" are
    assert heard(lexicon=lexicon) == [1, 2]
    assert heard(lexicon=lexicon, lm_file=arpa, lm_weight=1.5) == [1]
