"""Contract 7: greedy on kept frames = greedy on the full output."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_blankskip.decoding.greedy import greedy_on_full_output, greedy_search

PEAK, REST = 0.9, 0.1


def log_probs_of(best, vocab=4):
    """Log-probabilities (T, V) whose best labels are given."""
    table = torch.full((len(best), vocab), REST / (vocab - 1))
    for t, label in enumerate(best):
        table[t, label] = PEAK
    return table.log()


@pytest.mark.parametrize(
    "best, kept, tokens, start, end",
    [
        pytest.param([1, 1, 0, 1], [0, 1, 3], [1, 1], [0, 3], [1, 3], id="repeat"),
        pytest.param([1, 0, 0, 1], [0, 3], [1, 1], [0, 3], [0, 3], id="gap-is-blank"),
        pytest.param([1, 1, 1], [0, 1, 2], [1], [0], [2], id="one-run"),
        pytest.param([1, 2, 2], [0, 1, 2], [1, 2], [0, 1], [0, 2], id="change"),
        pytest.param([0, 0, 2, 0], [2], [2], [2], [2], id="one-frame-kept"),
        pytest.param([0, 0], [0, 1], [], [], [], id="kept-blanks"),
        pytest.param([0, 0], [], [], [], [], id="nothing-kept"),
        pytest.param([3], [0], [3], [0], [0], id="one-frame"),
    ],
)
def test_tokens_and_original_frames(best, kept, tokens, start, end):
    log_probs = log_probs_of(best)
    index = torch.tensor(kept, dtype=torch.long)
    hypothesis = greedy_search(log_probs[index], index)
    assert hypothesis.token_int == tokens
    assert hypothesis.start == start
    assert hypothesis.end == end


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_equals_full_output_when_skipped_frames_are_blank(data):
    best = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=30))
    log_probs = log_probs_of(best)
    keep = torch.tensor([b != 0 or data.draw(st.booleans()) for b in best])
    index = keep.nonzero()[:, 0]
    skipped_score = log_probs[~keep, 0].sum()
    full = greedy_on_full_output(log_probs)
    kept = greedy_search(log_probs[index], index, float(skipped_score))
    assert (kept.token_int, kept.start, kept.end) == (
        full.token_int,
        full.start,
        full.end,
    )
    assert kept.score == pytest.approx(full.score, abs=1e-4)
    assert kept.confidence == pytest.approx(full.confidence)


def test_confidence_is_the_highest_posterior_of_each_run():
    log_probs = torch.tensor(
        [[0.4, 0.6, 0.0], [0.1, 0.9, 0.0], [0.3, 0.7, 0.0], [0.2, 0.0, 0.8]]
    ).log()
    hypothesis = greedy_search(log_probs, torch.tensor([0, 1, 2, 7]))
    assert hypothesis.token_int == [1, 2]
    assert hypothesis.confidence == pytest.approx([0.9, 0.8])
    apart = greedy_search(log_probs, torch.tensor([0, 1, 3, 7]))
    assert apart.confidence == pytest.approx([0.9, 0.7, 0.8])


def test_a_skipped_label_is_the_only_way_to_differ():
    log_probs = log_probs_of([1, 2, 3])
    index = torch.tensor([0, 2])
    assert greedy_search(log_probs[index], index).token_int == [1, 3]
    assert greedy_on_full_output(log_probs).token_int == [1, 2, 3]


def test_frames_and_rows_must_match():
    with pytest.raises(ValueError, match="3 frames, log_probs 2"):
        greedy_search(log_probs_of([1, 2]), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="strictly increasing"):
        greedy_search(log_probs_of([1, 2]), torch.tensor([1, 1]))
