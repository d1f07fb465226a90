"""Consistency regularization: its equation, what runs twice, and what is refused."""

import math

import pytest
import torch
from espnet2.asr.specaug.abs_specaug import AbsSpecAug
from tiny_models import make_batch, make_model

from espnet_blankskip.consistency import disagreement, twice


class HalfMask(AbsSpecAug):
    """Masks each utterance differently, without changing what comes before it."""

    def forward(self, feats, lens):
        """Zero a stretch of each utterance, another one each time."""
        masked = feats.clone()
        for row in masked:
            start = int(torch.randint(0, feats.size(1) - 20, ()))
            row[start : start + 20] = 0.0
        return masked, lens


class NoMask(AbsSpecAug):
    """Leaves features as they are."""

    def forward(self, feats, lens):
        """Return what it is given."""
        return feats, lens


def log_probs(z, factorized):
    """Log-probabilities of one frame's outputs, by their definition."""
    if not factorized:
        total = math.log(sum(math.exp(value) for value in z))
        return [value - total for value in z]
    blank = -math.log1p(math.exp(-z[0]))
    total = math.log(sum(math.exp(value) for value in z[1:]))
    label = -math.log1p(math.exp(z[0]))
    return [blank] + [label + value - total for value in z[1:]]


def naive_disagreement(outputs, lens, factorized):
    """The equation, frame by frame and symbol by symbol."""
    size = len(lens) // 2
    total = 0.0
    for n in range(size):
        for t in range(int(lens[n])):
            a = log_probs(outputs[n, t].tolist(), factorized)
            b = log_probs(outputs[n + size, t].tolist(), factorized)
            total += sum(math.exp(q) * (q - p) for p, q in zip(a, b))
            total += sum(math.exp(p) * (p - q) for p, q in zip(a, b))
    return 0.5 * total / size


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
def test_it_is_the_equation(factorized):
    generator = torch.Generator().manual_seed(3)
    outputs = torch.randn(6, 7, 5, generator=generator, dtype=torch.float64)
    lens = torch.tensor([7, 4, 1] * 2)
    model = make_model(factorized_ctc=factorized)
    got = disagreement(outputs.float(), lens, model._divergence)
    want = naive_disagreement(outputs, lens, factorized)
    assert got.item() == pytest.approx(want, rel=1e-5)


def test_each_half_learns_from_the_other_one_only():
    # sg: the gradient of KL(sg(p_b) || p_a) at a's logits is p_a - p_b
    outputs = torch.randn(2, 1, 4, requires_grad=True)
    lens = torch.tensor([1, 1])
    disagreement(outputs, lens, make_model()._divergence).backward()
    a, b = outputs.detach().softmax(-1)
    torch.testing.assert_close(outputs.grad[0], 0.5 * (a - b))
    torch.testing.assert_close(outputs.grad[1], 0.5 * (b - a))


def test_views_that_agree_cost_nothing_and_leave_the_loss_as_it_was():
    batch = make_batch()
    options = dict(factorized_ctc=True, kd_weight=0.5)
    alone, stats_alone, _ = make_model(**options)(**batch)
    model = make_model(consistency_weight=0.2, specaug=NoMask(), **options)
    loss, stats, weight = model(**batch)
    assert stats["loss_cr"].item() == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(loss, alone)
    torch.testing.assert_close(stats["kept_ratio"], stats_alone["kept_ratio"])
    assert int(weight) == len(batch["speech"])


def test_the_loss_is_what_its_terms_say():
    torch.manual_seed(5)
    model = make_model(consistency_weight=0.2, specaug=HalfMask())
    loss, stats, _ = model(**make_batch())
    assert stats["loss_cr"].item() > 0.01
    ctc = 0.7 * stats["loss_ctc"] + 0.3 * stats["loss_interctc_layer2"]
    torch.testing.assert_close(loss.detach(), ctc + 0.2 * stats["loss_cr"])
    torch.testing.assert_close(stats["loss"], loss.detach())


def test_validation_sees_every_utterance_once():
    model = make_model(consistency_weight=0.2, specaug=HalfMask()).eval()
    _, stats, weight = model(**make_batch())
    assert "loss_cr" not in stats
    assert int(weight) == 2


def test_whatever_there_is_one_of_per_utterance_is_doubled():
    batch = dict(speech=torch.ones(2, 5), utt_id=["a", "b"], scale=torch.ones(3), n=2)
    doubled = twice(batch, 2)
    assert doubled["speech"].shape == (4, 5)
    assert doubled["utt_id"] == ["a", "b", "a", "b"]
    assert doubled["scale"].shape == (3,) and doubled["n"] == 2


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(consistency_weight=-0.1), "consistency_weight=-0.1 must be >= 0"),
        (dict(consistency_weight=0.2), "consistency_weight.*set specaug"),
    ],
    ids=["negative", "no specaug"],
)
def test_what_cannot_work_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)
