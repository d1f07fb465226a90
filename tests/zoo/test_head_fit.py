"""A fitted blank row says what the plain head said, as nearly as a row can."""

import pytest
import torch
import torch.nn.functional as F

from espnet_blankskip.factorized_ctc import compose_log_probs
from espnet_blankskip.zoo.head_fit import blank_log_odds, fit_blank_row


def plain_head(states=4000, width=24, vocabulary=9, seed=0):
    """A head with clear decisions, and states to read: z (N, V), h (N, D)."""
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(states, width, generator=generator)
    weight = 1.5 * torch.randn(vocabulary, width, generator=generator)
    bias = torch.zeros(vocabulary)
    bias[0] = 6.0
    return h @ weight.T + bias, h


def bernoulli_kl(odds, fitted):
    p = torch.sigmoid(odds)
    cross = F.binary_cross_entropy_with_logits(fitted, p)
    return float(cross - F.binary_cross_entropy_with_logits(odds, p))


def test_log_odds_are_those_of_the_posterior():
    z, _ = plain_head(states=50)
    p = z.double().softmax(-1)
    expected = (p[:, 0] / (1 - p[:, 0])).log().clamp(-12, 12)
    assert torch.allclose(blank_log_odds(z.log_softmax(-1)), expected, atol=1e-4)


def test_a_linear_target_is_recovered():
    generator = torch.Generator().manual_seed(1)
    h = torch.randn(3000, 10, generator=generator).double()
    weight = torch.randn(10, generator=generator).double()
    fitted, bias = fit_blank_row(h, h @ weight - 0.5)
    assert torch.allclose(fitted, weight, atol=0.02)
    assert float(bias) == pytest.approx(-0.5, abs=0.02)


def test_fit_is_closer_than_least_squares_and_than_the_row_itself():
    z, h = plain_head()
    odds = blank_log_odds(z.log_softmax(-1))
    train, test = slice(0, 3000), slice(3000, None)
    weight, bias = fit_blank_row(h[train], odds[train])
    ours = bernoulli_kl(odds[test], h[test].double() @ weight + bias)
    ones = torch.cat([h, torch.ones(len(h), 1)], 1).double()
    square = torch.linalg.lstsq(ones[train], odds[train, None]).solution
    assert ours < bernoulli_kl(odds[test], (ones[test] @ square)[:, 0])
    assert ours < bernoulli_kl(odds[test], z[test, 0].double())


def test_labels_given_a_label_are_untouched():
    """Row 0 is the only one replaced: label posteriors stay what they were."""
    z, h = plain_head(states=200)
    odds = blank_log_odds(z.log_softmax(-1))
    weight, bias = fit_blank_row(h, odds)
    refitted = z.clone().double()
    refitted[:, 0] = h.double() @ weight + bias
    labels = compose_log_probs(refitted)[:, 1:]
    given_label = labels - labels.logsumexp(-1, keepdim=True)
    assert torch.allclose(given_label, z.double()[:, 1:].log_softmax(-1), atol=1e-6)


def test_states_with_a_direction_that_never_moves_give_a_small_row():
    """Normalized states sum to a constant; the fit must not run off along it."""
    z, h = plain_head()
    h = h - h.mean(-1, keepdim=True)
    weight, _ = fit_blank_row(h, blank_log_odds(z.log_softmax(-1)))
    assert float(weight.abs().max()) < 20


def test_nothing_to_fit_on_is_an_error():
    with pytest.raises(ValueError, match="no usable frame"):
        fit_blank_row(torch.zeros(0, 4), torch.zeros(0))
    with pytest.raises(ValueError, match="no usable frame"):
        fit_blank_row(torch.full((5, 4), float("nan")), torch.zeros(5))
