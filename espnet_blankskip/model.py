"""``model: blankskip``: ESPnet's ASR model with factorized CTC and distillation."""

import contextlib
import logging
from contextvars import ContextVar
from typing import Dict, Iterator, List, Optional

import torch
from torch import Tensor

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


class BlankSkipASRModel(ESPnetASRModel):
    """ESPnet's CTC or hybrid CTC/attention model around a layer-skipping encoder.

    The loss of the CTC branch is

        (1 - interctc_weight) L_ctc + interctc_weight L_inter + kd_weight L_KD

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
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        gates = getattr(self.encoder, "gate_layers", [])
        if kd_weight < 0:
            raise ValueError(f"kd_weight={kd_weight} must be >= 0")
        if kd_temperature <= 0:
            raise ValueError(f"kd_temperature={kd_temperature} must be > 0")
        if kd_frames not in KD_FRAMES:
            raise ValueError(
                f"kd_frames={kd_frames} must be one of: {', '.join(KD_FRAMES)}"
            )
        if kd_warmup_steps < 0:
            raise ValueError(f"kd_warmup_steps={kd_warmup_steps} must be >= 0")
        if self.ctc is None and (gates or factorized_ctc or kd_weight > 0):
            raise ValueError(
                "ctc_weight=0 leaves no CTC, which gate_layers, factorized_ctc and "
                "kd_weight need: it must be above 0"
            )
        if kd_weight > 0 and not gates:
            raise ValueError(
                "kd_weight needs a layer to teach: set gate_layers in the "
                "encoder_conf of a blankskip encoder"
            )
        if (
            gates
            and kd_weight == 0.0
            and (self.interctc_weight == 0.0 or self.encoder.gate_head == "own")
        ):
            logger.warning(
                "gate_layers=%s but nothing teaches the gate in training: set "
                "interctc_weight (for gate_head=ctc) or kd_weight",
                gates,
            )
        if kd_weight > 0 and self.encoder.gate_head == "own":
            skip_warmup_steps = self.encoder.skip_warmup_steps
            if skip_warmup_steps < kd_warmup_steps:
                logger.info(
                    "skip_warmup_steps=%d counts as kd_warmup_steps=%d: nothing "
                    "teaches the gate before",
                    skip_warmup_steps,
                    kd_warmup_steps,
                )
                self.encoder.skip_warmup_steps = kd_warmup_steps
        if factorized_ctc:
            self.ctc = FactorizedCTC.like(self.ctc)
        self.kd_weight = kd_weight
        self.kd_temperature = kd_temperature
        self.kd_frames = kd_frames
        self.kd_warmup_steps = kd_warmup_steps
        self._teacher_watch = TeacherWatch()
        self._teacher_was_ready: Optional[bool] = None

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
        with computing_loss(), _noting_encoded() as encoded:
            loss, stats, weight = super().forward(
                speech, speech_lengths, text, text_lengths, **kwargs
            )
        encoder_out, lens = encoded[-1]
        extra: Dict[str, Tensor] = {}
        kept = getattr(self.encoder, "last_kept", None)
        if kept is not None:
            extra["kept_ratio"] = kept.sum() / lens.sum().clamp(min=1)
        if self.kd_weight > 0:
            has_intermediate = isinstance(encoder_out, tuple)
            final, intermediate = encoder_out if has_intermediate else (encoder_out, [])
            terms = self._distillation_terms(final, intermediate, lens)
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
                self._divergence(teacher, self.ctc.ctc_lo(states))
                for _, states in intermediate
            ]
        scale = 1.0 / (len(divergences) * final.size(0))
        return {
            name: scale * sum((d[name] * chosen).sum() for d in divergences)
            for name in divergences[0]
        }

    def _divergence(self, teacher: Tensor, student: Tensor) -> Dict[str, Tensor]:
        """KL of two outputs (B, T, V) of the CTC head, per frame (B, T), by name."""
        if not isinstance(self.ctc, FactorizedCTC):
            return {"loss_kd": plain_kl(teacher, student, self.kd_temperature)}
        blank, label = factorized_kl(teacher, student, self.kd_temperature)
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
