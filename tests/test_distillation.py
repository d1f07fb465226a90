"""Distillation terms against the definition of the KL divergence."""

import pytest
import torch

from espnet_blankskip.distillation import (
    TeacherWatch,
    factorized_kl,
    gate_kl,
    plain_kl,
    select_frames,
)
from espnet_blankskip.factorized_ctc import compose_log_probs

TEMPERATURES = [0.5, 1.0, 4.0]


@pytest.fixture
def outputs():
    """Outputs z (B, T, V) of teacher and student."""
    return 3 * torch.randn(2, 6, 5), 3 * torch.randn(2, 6, 5)


def divergence(teacher_logp, student_logp):
    """KL(teacher || student), written as its definition."""
    teacher, student = teacher_logp.double(), student_logp.double()
    return (teacher.exp() * (teacher - student)).sum(-1).float()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_plain_is_the_definition(outputs, temperature):
    teacher, student = (z / temperature for z in outputs)
    want = divergence(teacher.log_softmax(-1), student.log_softmax(-1))
    got = plain_kl(*outputs, temperature)
    torch.testing.assert_close(got, want * temperature**2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_factorized_parts_add_up_to_the_definition(outputs, temperature):
    teacher, student = (compose_log_probs(z / temperature) for z in outputs)
    blank, labels = factorized_kl(*outputs, temperature)
    torch.testing.assert_close(
        blank + labels,
        divergence(teacher, student) * temperature**2,
        rtol=1e-4,
        atol=1e-5,
    )
    assert (blank >= -1e-5).all() and (labels >= -1e-5).all()


def test_factorized_parts_are_what_they_are_called(outputs):
    teacher, student = outputs
    other_labels = torch.cat([student[..., :1], teacher[..., 1:]], -1)
    other_blank = torch.cat([teacher[..., :1], student[..., 1:]], -1)
    blank, labels = factorized_kl(teacher, student)
    only_blank = factorized_kl(teacher, other_labels)
    only_labels = factorized_kl(teacher, other_blank)
    torch.testing.assert_close(only_blank[0], blank)
    assert only_blank[1].abs().max() < 1e-5
    torch.testing.assert_close(only_labels[1], labels)
    assert only_labels[0].abs().max() < 1e-5


def test_sure_blanks_stay_finite():
    """A frame whose blank is certain in float32 has no label distribution left."""
    z = torch.tensor([[80.0, 1.0, 2.0], [-80.0, 1.0, 2.0]])
    for terms in (factorized_kl(z, -z), factorized_kl(z, z), [plain_kl(z, -z)]):
        assert all(term.isfinite().all() for term in terms)


@pytest.mark.parametrize(
    "kl", [plain_kl, lambda *z: sum(factorized_kl(*z))], ids=["plain", "factorized"]
)
def test_teacher_gets_no_gradient_and_student_does(outputs, kl):
    teacher, student = (z.requires_grad_() for z in outputs)
    kl(teacher, student).sum().backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_gate_divergence_is_that_of_blank_or_not(outputs):
    teacher_logp = outputs[0].log_softmax(-1)
    gate_logits = outputs[1][..., 0].requires_grad_()
    blank = teacher_logp[..., 0]
    want = divergence(
        torch.stack([blank, torch.log1p(-blank.exp())], -1),
        torch.stack([gate_logits, -gate_logits], -1).sigmoid().log(),
    )
    got = gate_kl(teacher_logp, gate_logits)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


# one utterance of eight frames, the last one padding; 1 where the teacher's best
# symbol is a label
SPIKES = [0, 1, 0, 0, 0, 0, 1, 1]
VALID = [1, 1, 1, 1, 1, 1, 1, 0]
KEPT = [0, 1, 1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    "kd_frames, want",
    [
        ("all", [1, 1, 1, 1, 1, 1, 1, 0]),
        ("kept", [0, 1, 1, 0, 0, 1, 1, 0]),
        ("symmetric", [1, 1, 1, 0, 0, 1, 1, 0]),
    ],
)
def test_distilled_frames(kd_frames, want):
    spikes, valid, kept = (torch.tensor([row]).bool() for row in (SPIKES, VALID, KEPT))
    teacher_logp = torch.stack([~spikes, spikes], -1).float().log_softmax(-1)
    before = valid.clone()
    assert select_frames(kd_frames, teacher_logp, valid, kept).int().tolist() == [want]
    assert valid.equal(before)


def test_padding_does_not_widen_into_speech():
    """A spike in the padding is nobody's neighbour."""
    spikes = torch.tensor([[False, False, True]])
    valid = torch.tensor([[True, True, False]])
    teacher_logp = torch.stack([~spikes, spikes], -1).float().log_softmax(-1)
    assert not select_frames("symmetric", teacher_logp, valid, valid).any()


def test_unknown_choice_of_frames_is_named():
    with pytest.raises(ValueError, match="kd_frames=some.*all, kept, symmetric"):
        select_frames("some", torch.zeros(1, 1, 2), None, None)


def test_watch_trusts_the_teacher_once_its_running_mean_is_lower():
    watch = TeacherWatch(decay=0.5)
    assert not watch.teacher_is_better
    watch.update(10.0, 5.0)
    assert not watch.teacher_is_better
    watch.update(4.0, 5.0)  # means 7.0 and 5.0
    assert not watch.teacher_is_better
    watch.update(1.0, 5.0)  # means 4.0 and 5.0
    assert watch.teacher_is_better


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_watch_leaves_broken_batches_out(bad):
    watch = TeacherWatch()
    watch.update(1.0, 2.0)
    watch.update(bad, 2.0)
    watch.update(1.0, bad)
    assert watch.teacher_is_better
    assert watch.means.tolist() == [1.0, 2.0]
