"""Beam search finds what adding up all CTC paths finds, on kept frames only."""

import math

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

pytest.importorskip("flashlight.lib.text", reason="beam search is an extra")

from espnet_blankskip.decoding.greedy import greedy_search  # noqa: E402
from espnet_blankskip.decoding.search import build_search  # noqa: E402
from espnet_blankskip.decoding.search_options import SearchOptions  # noqa: E402

TOKENS = ["<blank>", "a", "b", "c"]
WIDE = 200

UNIGRAMS = {"<unk>": -3.0, "<s>": -99.0, "</s>": -0.7, "a": -0.4, "b": -0.9, "c": -1.2}
BIGRAMS = {("<s>", "c"): -0.2, ("a", "b"): -0.1, ("c", "c"): -2.0, ("b", "</s>"): -0.1}


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "tokens.arpa"
    return write_arpa(path, UNIGRAMS, BIGRAMS)


def kept(log_probs, keep):
    index = keep.nonzero()[:, 0]
    return log_probs[index], index


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.booleans(), min_size=1, max_size=5))
def test_wide_beam_is_the_sum_over_all_paths(seed, keep):
    keep = torch.tensor(keep)
    log_probs = random_log_probs(len(keep), len(TOKENS), seed)
    worth = sequence_log_probs(with_skipped_blanks(log_probs, keep))
    search = build_search(TOKENS, SearchOptions(beam_size=WIDE, nbest=3))
    paths = search(*kept(log_probs, keep), skipped_score=-0.25)
    expected = sorted(worth.values(), reverse=True)[:3]
    assert [p.score + 0.25 for p in paths] == pytest.approx(expected, abs=1e-4)
    for path in paths:
        logp = worth[tuple(path.token_int)]
        assert path.score + 0.25 == pytest.approx(logp, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.booleans(), min_size=1, max_size=12))
def test_kept_frames_give_what_the_full_output_gives(seed, keep):
    keep = torch.tensor(keep)
    log_probs = random_log_probs(len(keep), len(TOKENS), seed, sharpness=4.0)
    full = with_skipped_blanks(log_probs, keep)
    search = build_search(TOKENS, SearchOptions(beam_size=WIDE, nbest=5))
    on_kept = search(*kept(log_probs, keep))
    on_all = search(full, torch.arange(len(full)))
    assert len(on_kept) == len(on_all)
    for ours, theirs in zip(on_kept, on_all):
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
        assert (ours.token_int, ours.start, ours.end) == (
            theirs.token_int,
            theirs.start,
            theirs.end,
        )


def test_equal_tokens_on_both_sides_of_a_gap_stay_two():
    log_probs = torch.tensor([[0.1, 0.8, 0.05, 0.05]] * 2).log()
    search = build_search(TOKENS, SearchOptions(beam_size=8))
    assert search(log_probs, torch.tensor([3, 4]))[0].token_int == [1]
    apart = search(log_probs, torch.tensor([3, 5]))[0]
    assert apart.token_int == [1, 1]
    assert (apart.start, apart.end) == ([3, 5], [3, 5])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 2**12 - 1))
def test_frames_and_confidence_of_clear_speech_are_those_of_greedy(seed, frames, mask):
    """Where one path has nearly all probability, both searches follow it."""
    keep = torch.tensor([bool(mask >> t & 1) for t in range(frames)])
    log_probs = random_log_probs(frames, len(TOKENS), seed, sharpness=400.0)
    log_probs = log_probs.clamp(min=-40.0)
    greedy = greedy_search(*kept(log_probs, keep))
    if max(log_probs.topk(2).values[:, 1], default=-40.0) > -5.0:
        return
    beam = build_search(TOKENS, SearchOptions(beam_size=10))(*kept(log_probs, keep))[0]
    assert (beam.token_int, beam.start, beam.end) == (
        greedy.token_int,
        greedy.start,
        greedy.end,
    )
    assert beam.confidence == pytest.approx(greedy.confidence)


def test_nothing_kept_is_an_empty_hypothesis():
    for beam in (1, 5):
        paths = build_search(TOKENS, SearchOptions(beam_size=beam))(
            torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), -1.5
        )
        assert [(p.token_int, p.score) for p in paths] == [([], -1.5)]


@pytest.mark.parametrize("beam", [1, 5])
def test_frames_and_rows_must_match(beam):
    search = build_search(TOKENS, SearchOptions(beam_size=beam))
    with pytest.raises(ValueError, match="3 frames, log_probs 2"):
        search(random_log_probs(2, 4, 0), torch.arange(3))
    with pytest.raises(ValueError, match="strictly increasing"):
        search(random_log_probs(2, 4, 0), torch.tensor([1, 1]))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.5, 2.0]),
)
def test_ngram_over_tokens_ranks_as_the_arpa_says(arpa, seed, keep, lm_weight):
    keep = torch.tensor(keep)
    log_probs = random_log_probs(len(keep), len(TOKENS), seed)
    worth = {
        tokens: logp
        + lm_weight * ngram_log_prob([TOKENS[i] for i in tokens], UNIGRAMS, BIGRAMS)
        for tokens, logp in sequence_log_probs(
            with_skipped_blanks(log_probs, keep)
        ).items()
    }
    search = build_search(
        TOKENS, SearchOptions(WIDE, nbest=3, lm_file=arpa, lm_weight=lm_weight)
    )
    paths = search(*kept(log_probs, keep))
    expected = sorted(worth.values(), reverse=True)[:3]
    assert [p.score for p in paths] == pytest.approx(expected, abs=1e-3)
    assert paths[0].score == pytest.approx(worth[tuple(paths[0].token_int)], abs=1e-3)


def test_language_model_changes_the_answer(arpa):
    """Acoustics prefer "a c" by a little, the n-gram "a b" by a lot."""
    log_probs = torch.tensor([[0.05, 0.9, 0.0, 0.05], [0.1, 0.0, 0.4, 0.5]]).log()
    index = torch.tensor([0, 2])
    without = build_search(TOKENS, SearchOptions(10))(log_probs, index)[0]
    assert without.token_int == [1, 3]
    with_lm = build_search(TOKENS, SearchOptions(10, lm_file=arpa, lm_weight=0.5))(
        log_probs, index
    )[0]
    assert with_lm.token_int == [1, 2]
    # confidence is the acoustic posterior, whatever the language model says
    assert with_lm.confidence == pytest.approx([0.9, 0.4])


def test_best_tokens_of_a_large_vocabulary_are_enough():
    """The tokens tried per frame are limited; on peaky posteriors nothing is lost."""
    vocab, frames = 300, 12
    tokens = ["<blank>", *map(str, range(1, vocab))]
    log_probs = random_log_probs(frames, vocab, 7, sharpness=4.0)
    path = build_search(tokens, SearchOptions(beam_size=10))(
        log_probs, torch.arange(frames)
    )[0]
    exact = -torch.nn.functional.ctc_loss(
        log_probs[:, None].double(),
        torch.tensor([path.token_int]),
        torch.tensor([frames]),
        torch.tensor([len(path.token_int)]),
        reduction="sum",
    )
    assert path.score <= float(exact) + 1e-4
    assert path.score == pytest.approx(float(exact), abs=0.05)
    assert math.exp(path.score) <= 1.0
