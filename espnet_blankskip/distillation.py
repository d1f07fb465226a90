"""Inter-layer distillation: the final CTC teaches the intermediate one.

    L_KD = sum_t KL(p_final,t || p_inter,t) over valid frames

with the teacher detached. For a factorized head the divergence is exactly

    KL = KL_Bernoulli(blank) + (1 - p_final(blank)) * KL(labels)
"""

import math
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

KD_FRAMES = ("all", "kept", "symmetric")


def select_frames(
    kd_frames: str, teacher_logp: Tensor, valid: Tensor, kept: Tensor
) -> Tensor:
    """Choose the frames that are distilled.

    Args:
        kd_frames: "all" valid frames; "kept", those that ran through all layers; or
            "symmetric", the teacher's spikes and one frame on each side of them
            (Hilmes et al., "Analyzing the Importance of Blank for CTC-Based
            Knowledge Distillation", Interspeech 2025).
        teacher_logp: the teacher's log-probabilities (B, T, V), blank first.
        valid: (B, T) bool, False on padding.
        kept: (B, T) bool.

    Returns:
        (B, T) bool.

    Raises:
        ValueError: if ``kd_frames`` is none of these.
    """
    if kd_frames == "all":
        return valid
    if kd_frames == "kept":
        return valid & kept
    if kd_frames != "symmetric":
        raise ValueError(
            f"kd_frames={kd_frames} must be one of: {', '.join(KD_FRAMES)}"
        )
    spikes = valid & (teacher_logp.argmax(-1) != 0)
    near = spikes.clone()
    near[:, 1:] |= spikes[:, :-1]
    near[:, :-1] |= spikes[:, 1:]
    return near & valid


def plain_kl(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """KL divergence of plain heads, per frame.

    Args:
        teacher: logits (..., V); detached here.
        student: logits (..., V).
        temperature: both are divided by it, and the divergence is multiplied by its
            square so that gradients keep their size (Hinton et al. 2015).

    Returns:
        KL(teacher || student) in nats (...).
    """
    teacher = F.log_softmax(teacher.detach().float() / temperature, dim=-1)
    student = F.log_softmax(student.float() / temperature, dim=-1)
    kl = F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
    return kl * temperature**2


def factorized_kl(
    teacher: Tensor, student: Tensor, temperature: float = 1.0
) -> Tuple[Tensor, Tensor]:
    """KL divergence of factorized heads, per frame, in its two exact parts.

    Args:
        teacher: outputs z (..., V) of a factorized head; detached here.
        student: outputs z (..., V) of a factorized head.
        temperature: divides blank logit and label logits; see `plain_kl`.

    Returns:
        The Bernoulli term for blank (...) and the label term (...), weighted by the
        teacher's non-blank probability; their sum is the divergence of the composed
        distributions.
    """
    teacher = teacher.detach().float() / temperature
    student = student.float() / temperature
    log_blank, log_spike = F.logsigmoid(teacher[..., 0]), F.logsigmoid(-teacher[..., 0])
    blank = log_blank.exp() * (log_blank - F.logsigmoid(student[..., 0]))
    spike = log_spike.exp() * (log_spike - F.logsigmoid(-student[..., 0]))
    labels = F.kl_div(
        F.log_softmax(student[..., 1:], dim=-1),
        F.log_softmax(teacher[..., 1:], dim=-1),
        reduction="none",
        log_target=True,
    ).sum(-1)
    scale = temperature**2
    return (blank + spike) * scale, log_spike.exp() * labels * scale


def gate_kl(teacher_logp: Tensor, gate_logits: Tensor) -> Tensor:
    """KL divergence between the teacher's blank-or-not and a gate's own, per frame.

    Args:
        teacher_logp: the teacher's log-probabilities (B, T, V), blank first; detached.
        gate_logits: the gate's log-odds of blank (B, T).

    Returns:
        The Bernoulli divergence in nats (B, T).
    """
    blank = teacher_logp.detach()[..., 0].float().exp().clamp(1e-6, 1 - 1e-6)
    entropy = -(blank * blank.log() + (1 - blank) * (1 - blank).log())
    cross = F.binary_cross_entropy_with_logits(
        gate_logits.float(), blank, reduction="none"
    )
    return cross - entropy


class TeacherWatch(torch.nn.Module):
    """Says whether the final layer is good enough to teach.

    Compares running means of the final and the intermediate CTC loss. The means are a
    buffer, which DistributedDataParallel copies from its first process to the others
    before every batch, so that all processes decide alike. They are not saved, which
    leaves a checkpoint's keys as ESPnet's; a resumed training learns them anew.

    Args:
        decay: weight of the past in the running means, 0 to 1.
    """

    def __init__(self, decay: float = 0.98):
        super().__init__()
        self.decay = decay
        # of final and intermediate loss; nan until there was one
        self.register_buffer("means", torch.full((2,), math.nan), persistent=False)

    def update(self, loss_final: float, loss_inter: float) -> None:
        """Take in one training batch's two losses; infinite ones are left out."""
        losses = self.means.new_tensor([loss_final, loss_inter])
        if not losses.isfinite().all():
            return
        past = self.means if self.has_seen_losses else losses
        self.means.copy_(self.decay * past + (1 - self.decay) * losses)

    @property
    def has_seen_losses(self) -> bool:
        """Whether there is anything to compare yet."""
        return bool(self.means.isfinite().all())

    @property
    def teacher_is_better(self) -> bool:
        """Whether the final layer's mean loss is below the intermediate layer's."""
        return bool(self.means[0] < self.means[1])
