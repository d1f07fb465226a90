"""The gate: which frames are kept, against a brute-force twin."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.gate import blank_log_prob, keep_frames
from espnet_blankskip.upstream import CTC

THRESHOLDS = st.sampled_from([0.5, 0.6, 0.8, 0.95, 0.999, 1.0, 1.5])


@st.composite
def utterances(draw):
    """blank_logp (B, T) and running (B, T), with padding and holes in it."""
    batch, time = draw(st.integers(1, 3)), draw(st.integers(1, 14))
    blank = draw(
        st.lists(st.floats(0.01, 1.0), min_size=batch * time, max_size=batch * time)
    )
    running = draw(
        st.lists(st.booleans(), min_size=batch * time, max_size=batch * time)
    )
    shape = (batch, time)
    # as precise as Python's floats, so that the twin sees the same ties
    blank_logp = torch.tensor(blank, dtype=torch.float64).view(shape).log()
    return blank_logp, torch.tensor(running).view(shape)


@given(utterances(), THRESHOLDS, st.integers(0, 5))
def test_equals_brute_force(utterance, threshold, extension):
    blank_logp, running = utterance
    keep = keep_frames(blank_logp, running, threshold, extension)
    for b in range(running.size(0)):
        times = range(running.size(1))
        spikes = [
            t
            for t in times
            if running[b, t] and float(blank_logp[b, t]) < math.log(threshold)
        ]
        want = [
            bool(running[b, t]) and any(abs(t - s) <= extension for s in spikes)
            for t in times
        ]
        assert keep[b].tolist() == want


@given(utterances(), THRESHOLDS, st.integers(0, 5))
def test_only_running_frames_are_kept(utterance, threshold, extension):
    blank_logp, running = utterance
    keep = keep_frames(blank_logp, running, threshold, extension)
    assert keep.dtype == torch.bool
    assert not (keep & ~running).any()


@given(utterances(), THRESHOLDS, THRESHOLDS, st.integers(0, 4), st.integers(0, 4))
def test_higher_threshold_or_extension_never_keeps_less(utterance, a, b, e, f):
    blank_logp, running = utterance
    low = keep_frames(blank_logp, running, min(a, b), min(e, f))
    high = keep_frames(blank_logp, running, max(a, b), max(e, f))
    assert not (low & ~high).any()


@given(utterances(), st.integers(0, 4))
def test_threshold_above_1_keeps_everything_that_runs(utterance, extension):
    blank_logp, running = utterance
    assert keep_frames(blank_logp, running, 1.01, extension).equal(running)


@given(utterances(), st.integers(0, 4))
def test_input_is_left_alone(utterance, extension):
    blank_logp, running = utterance
    before = blank_logp.clone(), running.clone()
    keep_frames(blank_logp, running, 0.8, extension)
    assert blank_logp.equal(before[0]) and running.equal(before[1])


def test_extension_reaches_over_frames_that_left_earlier():
    """Distance is time, not the number of running frames between."""
    blank_logp = torch.tensor([[0.1, 1.0, 1.0, 1.0]]).log()
    running = torch.tensor([[True, False, True, True]])
    keep = keep_frames(blank_logp, running, 0.9, 2)
    assert keep.tolist() == [[True, False, True, False]]


def test_a_spike_in_padding_keeps_no_neighbour():
    blank_logp = torch.tensor([[1.0, 1.0, 0.1]]).log()
    running = torch.tensor([[True, True, False]])
    assert not keep_frames(blank_logp, running, 0.9, 2).any()


@pytest.mark.parametrize("head", [CTC, FactorizedCTC])
def test_blank_log_prob_is_the_heads_and_takes_no_gradient(head):
    ctc = head(odim=6, encoder_output_size=4)
    states = torch.randn(2, 5, 4, requires_grad=True)
    blank_logp = blank_log_prob(ctc, states)
    torch.testing.assert_close(blank_logp, ctc.log_softmax(states)[..., 0])
    assert not blank_logp.requires_grad
