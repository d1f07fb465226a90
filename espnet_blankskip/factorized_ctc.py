"""Factorized CTC: blank or not first, then which label.

One linear layer of V outputs z, with the names and shapes of ESPnet's ``CTC``, read as

    log p(blank) = logsigmoid(z_0)
    log p(k)     = logsigmoid(-z_0) + log_softmax(z_1 .. z_{V-1})_k

so that a gate costs one dot product per frame, and labels only need to be scored on
the frames that are kept.
"""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.gate import exact
from espnet_blankskip.upstream import CTC

# A trained plain head loses far less than this share of its factorized loss when it
# is read as what it is; a random or factorized one loses more, not less.
PLAIN_SHARE = 0.5


def compose_log_probs(logits: Tensor) -> Tensor:
    """Log-probabilities of the factorized reading of logits.

    Args:
        logits: outputs z (..., V).

    Returns:
        (..., V), float32 or wider also under automatic mixed precision.
    """
    logits = exact(logits)
    blank, labels = logits[..., :1], logits[..., 1:]
    return torch.cat(
        [F.logsigmoid(blank), F.logsigmoid(-blank) + F.log_softmax(labels, dim=-1)],
        dim=-1,
    )


class FactorizedCTC(CTC):
    """ESPnet's CTC head with the factorized reading of its outputs.

    Same parameters (``ctc_lo``), same methods; only ``ctc_type: builtin``. Nothing in
    a file tells how a head's weights want to be read, so the first loss with new ones
    tells: those of a trained plain head, as ``--init_param`` may bring them, are
    refused.

    Raises:
        ValueError: if ``ctc_type`` is another one; and from the loss, if the weights
            are a trained plain head's.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._reading_is_checked = False
        if self.ctc_type != "builtin":
            raise ValueError(
                f"factorized_ctc needs ctc_conf ctc_type=builtin, not {self.ctc_type}"
            )

    @classmethod
    def like(cls, ctc: CTC) -> "FactorizedCTC":
        """Make a factorized head with a plain head's options and its own parameters.

        The weights are shared as they are: read in the factorized way they mean
        something else, so a trained plain head has to be converted first
        (``blankskip convert --factorized``); the loss refuses it.
        """
        head = cls(
            odim=ctc.ctc_lo.out_features,
            encoder_output_size=ctc.ctc_lo.in_features,
            dropout_rate=ctc.dropout_rate,
            ctc_type=ctc.ctc_type,
            reduce=ctc.reduce,
            zero_infinity=getattr(ctc.ctc_loss, "zero_infinity", True),
        )
        head.ctc_lo = ctc.ctc_lo
        return head

    def loss_fn(
        self, th_pred: Tensor, th_target: Tensor, th_ilen: Tensor, th_olen: Tensor
    ) -> Tensor:
        """CTC loss on the composed log-probabilities.

        Args:
            th_pred: outputs z (T, B, V).
            th_target: labels of all utterances, joined.
            th_ilen: frames (B,).
            th_olen: labels (B,).

        Returns:
            Loss averaged over the batch (), or per utterance divided by the batch
            size (B,) where ``reduce`` is off, as ESPnet has it.

        Raises:
            ValueError: if the weights are a trained plain head's.
        """
        log_probs = compose_log_probs(th_pred)
        loss = self.ctc_loss(log_probs, th_target, th_ilen, th_olen) / th_pred.size(1)
        if not self._reading_is_checked:
            plain = exact(th_pred.detach()).log_softmax(-1)
            plain_loss = self.ctc_loss(plain, th_target, th_ilen, th_olen)
            self._check_reading(float(loss.detach().sum()), float(plain_loss.mean()))
        return loss.sum() if self.reduce else loss

    def _check_reading(self, factorized_loss: float, plain_loss: float) -> None:
        if plain_loss < PLAIN_SHARE * factorized_loss:
            raise ValueError(
                "factorized_ctc=true cannot read a CTC head that was trained as a "
                f"plain one (loss {factorized_loss:.1f}; read as plain "
                f"{plain_loss:.1f}): start from what `blankskip convert --factorized` "
                "makes of the checkpoint, or leave the head out of --init_param "
                "(FILE:::ctc)"
            )
        self._reading_is_checked = True

    def _load_from_state_dict(self, *args):
        super()._load_from_state_dict(*args)
        self._reading_is_checked = False

    def log_softmax(self, hs_pad: Tensor) -> Tensor:
        """Log-probabilities: (B, T, D) -> (B, T, V)."""
        return compose_log_probs(self.ctc_lo(hs_pad))

    def softmax(self, hs_pad: Tensor) -> Tensor:
        """Probabilities: (B, T, D) -> (B, T, V)."""
        return self.log_softmax(hs_pad).exp()

    def argmax(self, hs_pad: Tensor) -> Tensor:
        """Best symbol of each frame: (B, T, D) -> (B, T)."""
        return self.log_softmax(hs_pad).argmax(dim=-1)

    def blank_logp(self, hs_pad: Tensor) -> Tensor:
        """Log-probability of blank in O(D) per frame: (..., D) -> (...)."""
        return F.logsigmoid(exact(self._outputs(hs_pad, 0, 1))).squeeze(-1)

    def label_logp(self, hs_pad: Tensor) -> Tensor:
        """Log-probability of each label, given a label: (..., D) -> (..., V-1).

        Column k-1 is label k.
        """
        return F.log_softmax(exact(self._outputs(hs_pad, 1, None)), dim=-1)

    def _outputs(self, hs_pad: Tensor, start: int, stop: Optional[int]) -> Tensor:
        """Some of the outputs z: (..., D) -> (..., stop - start)."""
        linear = self.ctc_lo
        accelerated = hasattr(linear, "outputs_from")
        if type(linear).forward is not torch.nn.Linear.forward and not accelerated:
            # a quantized or adapted layer's outputs are not its weight's rows alone
            return linear(hs_pad)[..., start:stop]
        return F.linear(hs_pad, linear.weight[start:stop], linear.bias[start:stop])
