"""``model: blankskip``: ESPnet's ASR model with factorized CTC and further losses."""

import contextlib
import logging
from contextvars import ContextVar
from typing import Dict, Iterator, List, Optional

import torch
from torch import Tensor

from espnet_blankskip.consistency import disagreement, twice
from espnet_blankskip.cpu_autocast import CpuAutocast
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.distillation import (
    KD_FRAMES,
    TeacherWatch,
    factorized_kl,
    gate_kl,
    plain_kl,
    select_frames,
)
from espnet_blankskip.encoders import EncodedFrames
from espnet_blankskip.encoders.training_progress import computing_loss
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.upstream import ESPnetASRModel, force_gatherable, make_pad_mask

logger = logging.getLogger(__name__)
# what `encode` returned since the `forward` around it began, if there is one
_ENCODED: ContextVar[Optional[List]] = ContextVar("encoded", default=None)


@contextlib.contextmanager
def _noting_encoded() -> Iterator[List]:
    """Within it, the results of `encode` are added to the list that it gives."""
    before = _ENCODED.set([])
    try:
        yield _ENCODED.get()
    finally:
        _ENCODED.reset(before)


class BlankSkipASRModel(CpuAutocast, ESPnetASRModel):
    """ESPnet's CTC or hybrid CTC/attention model around a layer-skipping encoder.

    The loss of the CTC branch is

        (1 - interctc_weight) L_ctc + interctc_weight L_inter
            + kd_weight L_KD + consistency_weight L_CR

    and ESPnet's ``ctc_weight`` mixes it with attention as usual. Every term and the
    kept-frame ratio appear in ESPnet's training stats.

    Args:
        *args, **kwargs: options of ESPnet's ``ESPnetASRModel``.
        factorized_ctc: read the CTC head as blank-or-not first, then which label.
        kd_weight: weight of the distillation from the final to the intermediate CTC
            layers, >= 0. It enters the training loss only; in validation ``loss_kd``
            is reported beside a loss that stays comparable from epoch to epoch.
        kd_temperature: softmax temperature of both, > 0.
        kd_frames: frames that are distilled: all, kept, or symmetric.
        kd_warmup_steps: training batches before distillation starts. After them it
            still waits while the teacher is the worse of the two, and says so; but
            never with ``gate_head: own``, whose gate has no other teacher. There,
            training does not skip before distillation starts either.
        consistency_weight: weight of consistency regularization, >= 0 (CR-CTC, Yao et
            al. 2025, arXiv 2410.05101, has 0.2). Above 0 every training batch runs
            twice, masked by SpecAug each time anew, and the CTC outputs of both, final
            and intermediate, are drawn together.
        cpu_autocast: bfloat16: the encoder trains in mixed precision on processors
            that have such arithmetic; elsewhere, and on GPUs, it has no effect.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    def __init__(
        self,
        *args,
        factorized_ctc: bool = False,
        kd_weight: float = 0.0,
        kd_temperature: float = 1.0,
        kd_frames: str = "all",
        kd_warmup_steps: int = 0,
        consistency_weight: float = 0.0,
        cpu_autocast: Optional[str] = None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.set_cpu_autocast(cpu_autocast)
        self.consistency_weight = consistency_weight
        self.kd_weight = kd_weight
        self.kd_temperature = kd_temperature
        self.kd_frames = kd_frames
        self.kd_warmup_steps = kd_warmup_steps
        self._check_options(factorized_ctc)
        if factorized_ctc:
            self.ctc = FactorizedCTC.like(self.ctc)
        self._see_to_the_gates_teacher()
        self._teacher_watch = TeacherWatch()
        self._teacher_was_ready: Optional[bool] = None

    def _check_options(self, factorized_ctc: bool) -> None:
        gates = getattr(self.encoder, "gate_layers", [])
        if self.kd_weight < 0:
            raise ValueError(f"kd_weight={self.kd_weight} must be >= 0")
        if self.kd_temperature <= 0:
            raise ValueError(f"kd_temperature={self.kd_temperature} must be > 0")
        if self.kd_frames not in KD_FRAMES:
            raise ValueError(
                f"kd_frames={self.kd_frames} must be one of: {', '.join(KD_FRAMES)}"
            )
        if self.kd_warmup_steps < 0:
            raise ValueError(f"kd_warmup_steps={self.kd_warmup_steps} must be >= 0")
        if self.consistency_weight < 0:
            raise ValueError(
                f"consistency_weight={self.consistency_weight} must be >= 0"
            )
        if self.consistency_weight > 0 and self.specaug is None:
            raise ValueError(
                "consistency_weight needs two views of each utterance, which specaug "
                "makes: set specaug"
            )
        weights = (factorized_ctc, self.kd_weight > 0, self.consistency_weight > 0)
        if self.ctc is None and (gates or any(weights)):
            raise ValueError(
                "ctc_weight=0 leaves no CTC, which gate_layers, factorized_ctc, "
                "kd_weight and consistency_weight need: it must be above 0"
            )
        if self.kd_weight > 0 and not gates:
            raise ValueError(
                "kd_weight needs a layer to teach: set gate_layers in the "
                "encoder_conf of a blankskip encoder"
            )

    def _see_to_the_gates_teacher(self) -> None:
        """Warn where nothing teaches a gate; let it not skip before something does."""
        gates = getattr(self.encoder, "gate_layers", [])
        if not gates:
            return
        own_head = self.encoder.gate_head == "own"
        if self.kd_weight == 0.0 and (self.interctc_weight == 0.0 or own_head):
            logger.warning(
                "gate_layers=%s but nothing teaches the gate in training: set "
                "interctc_weight (for gate_head=ctc) or kd_weight",
                gates,
            )
        skip_warmup_steps = self.encoder.skip_warmup_steps
        waits = self.kd_weight > 0 and own_head
        if waits and skip_warmup_steps < self.kd_warmup_steps:
            logger.info(
                "skip_warmup_steps=%d counts as kd_warmup_steps=%d: nothing "
                "teaches the gate before",
                skip_warmup_steps,
                self.kd_warmup_steps,
            )
            self.encoder.skip_warmup_steps = self.kd_warmup_steps

    def encode(self, speech: Tensor, speech_lengths: Tensor):
        """Frontend and encoder, as ESPnet's; see ``ESPnetASRModel.encode``."""
        encoded = super().encode(speech, speech_lengths)
        if _ENCODED.get() is not None:
            _ENCODED.get().append(encoded)
        return encoded

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        **kwargs,
    ):
        """Compute the training loss; the interface of ESPnet's models.

        Args:
            speech: (B, S).
            speech_lengths: (B,).
            text: token ids (B, U), padded with -1.
            text_lengths: (B,).

        Returns:
            loss, stats by name, batch size.
        """
        batch = dict(
            kwargs,
            speech=speech,
            speech_lengths=speech_lengths,
            text=text,
            text_lengths=text_lengths,
        )
        two_views = self.training and self.consistency_weight > 0
        with computing_loss(), _noting_encoded() as encoded:
            loss, stats, weight = super().forward(
                **(twice(batch, len(speech)) if two_views else batch)
            )
        encoder_out, lens = encoded[-1]
        extra: Dict[str, Tensor] = {}
        if two_views:
            weight = weight // 2
            extra["loss_cr"] = self._consistency(encoder_out, lens)
            loss = loss + self.ctc_weight * self.consistency_weight * extra["loss_cr"]
            stats["loss"] = loss.detach()
            extra["loss_cr"] = extra["loss_cr"].detach()
        kept = getattr(self.encoder, "last_kept", None)
        if kept is not None:
            extra["kept_ratio"] = kept.sum() / lens.sum().clamp(min=1)
        if self.kd_weight > 0:
            terms = self._distillation_terms(*_outputs(encoder_out), lens)
            extra.update({name: term.detach() for name, term in terms.items()})
            if self.training and self._teaches_this_batch(stats):
                loss = loss + self.ctc_weight * self.kd_weight * terms["loss_kd"]
                stats["loss"] = loss.detach()
        if extra:
            extra, _ = force_gatherable((extra, weight), loss.device)
            stats.update(extra)
        return loss, stats, weight

    def encode_frames(
        self, speech: Tensor, speech_lengths: Tensor, mode: str = "skipping"
    ) -> EncodedFrames:
        """Encode speech and tell how deep each frame ran; for decoding.

        Args:
            speech: (B, S).
            speech_lengths: samples (B,).
            mode: "skipping", "dense" or "intermediate".

        Returns:
            EncodedFrames; ``states`` are ready for ``self.ctc``.
        """
        return encode(self, speech, speech_lengths, mode)

    def _consistency(self, encoder_out, lens: Tensor) -> Tensor:
        """How far the CTC outputs of two views are apart (), mixed as their losses are.

        Args:
            encoder_out: what ``encode`` returned for 2 B utterances, the second half
                of which are other views of the first.
            lens: frames of each (2 B,).
        """
        final, intermediate = _outputs(encoder_out)
        layers = [(1.0, final)]
        if intermediate and self.interctc_weight > 0:
            share = self.interctc_weight / len(intermediate)
            layers = [(1.0 - self.interctc_weight, final)]
            layers += [(share, states) for _, states in intermediate]
        return sum(
            share * disagreement(self.ctc.ctc_lo(states), lens, self._divergence)
            for share, states in layers
        )

    def _distillation_terms(self, final, intermediate, lens) -> Dict[str, Tensor]:
        """Distillation loss per utterance, averaged over the layers that learn.

        Args:
            final: (B, T, D).
            intermediate: list of (layer, (B, T, D)).
            lens: (B,).

        Returns:
            "loss_kd" (), and its parts "loss_kd_blank" and "loss_kd_label" for a
            factorized head.
        """
        valid = ~make_pad_mask(lens, maxlen=final.size(1)).to(final.device)
        teacher = self.ctc.ctc_lo(final.detach())
        with torch.no_grad():
            teacher_logp = self.ctc.log_softmax(final)
        chosen = select_frames(
            self.kd_frames, teacher_logp, valid, self.encoder.last_kept
        )
        if self.encoder.gate_head == "own":
            divergences = [
                {"loss_kd": gate_kl(teacher_logp, self.encoder.last_gate_logits)}
            ]
        else:
            divergences = [
                self._divergence(teacher, self.ctc.ctc_lo(states), self.kd_temperature)
                for _, states in intermediate
            ]
        scale = 1.0 / (len(divergences) * final.size(0))
        return {
            name: scale * sum((d[name] * chosen).sum() for d in divergences)
            for name in divergences[0]
        }

    def _divergence(
        self, teacher: Tensor, student: Tensor, temperature: float = 1.0
    ) -> Dict[str, Tensor]:
        """KL of two outputs (B, T, V) of the CTC head, per frame (B, T), by name."""
        if not isinstance(self.ctc, FactorizedCTC):
            return {"loss_kd": plain_kl(teacher, student, temperature)}
        blank, label = factorized_kl(teacher, student, temperature)
        return {
            "loss_kd": blank + label,
            "loss_kd_blank": blank,
            "loss_kd_label": label,
        }

    def _teaches_this_batch(self, stats) -> bool:
        """Whether the teacher may teach now; logs when that changes.

        Decided by the batches before this one, because those are what all processes
        of a distributed training agree on.
        """
        watch = self._teacher_watch
        final, inter = watch.means.tolist()
        known, ready = watch.has_seen_losses, watch.teacher_is_better
        losses = [v for k, v in stats.items() if k.startswith("loss_interctc_layer")]
        if losses:
            watch.update(float(stats["loss_ctc"]), float(sum(losses)) / len(losses))
        # the encoder has counted this batch already
        steps = self.encoder.training_steps
        if steps == self.kd_warmup_steps:
            logger.info("kd_warmup_steps=%d batches are over", steps)
        if steps <= self.kd_warmup_steps:
            return False
        if not losses or self.encoder.gate_head == "own":
            # no intermediate CTC to compare the teacher with, or none that it teaches
            return True
        if known and ready != self._teacher_was_ready:
            self._teacher_was_ready = ready
            logger.info(
                "distillation %s: final CTC loss %.3f, intermediate %.3f",
                "runs" if ready else "waits, its teacher is the worse of the two",
                final,
                inter,
            )
        return ready


def _outputs(encoder_out):
    """The final states (B, T, D), and a list of (layer, states) of interCTC layers."""
    return encoder_out if isinstance(encoder_out, tuple) else (encoder_out, [])
