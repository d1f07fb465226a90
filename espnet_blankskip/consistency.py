"""Consistency regularization: two masked views of an utterance shall agree.

Each training utterance is encoded twice, with SpecAug drawn anew, and the divergence
of the two CTC outputs joins the loss (CR-CTC, Yao et al., ICLR 2025, arXiv 2410.05101):

    L_CR = 1/2 sum_t KL(sg(p_b,t) || p_a,t) + KL(sg(p_a,t) || p_b,t)

where sg stops the gradient.
"""

from typing import Any, Callable, Dict

import torch
from torch import Tensor

from espnet_blankskip.upstream import make_pad_mask

#: Of a teacher's outputs (B, T, V), which it detaches, and a student's: (B, T) by name,
#: the whole of it under "loss_kd".
Divergence = Callable[[Tensor, Tensor], Dict[str, Tensor]]


def twice(batch: Dict[str, Any], size: int) -> Dict[str, Any]:
    """A training batch followed by itself.

    Args:
        batch: the arguments of ESPnet's model: tensors (B, ...) and lists of B.
        size: B.

    Returns:
        The same with 2 B utterances; what is not one per utterance stays as it is.
    """

    def doubled(value):
        if isinstance(value, Tensor) and value.dim() and len(value) == size:
            return torch.cat([value, value])
        return value * 2 if isinstance(value, list) and len(value) == size else value

    return {name: doubled(value) for name, value in batch.items()}


def disagreement(outputs: Tensor, lens: Tensor, divergence: Divergence) -> Tensor:
    """L_CR, averaged over utterances.

    Args:
        outputs: of the CTC head for a batch of `twice` (2 B, T, V).
        lens: frames of each (2 B,).
        divergence: of two halves of them.

    Returns:
        () in nats.
    """
    one, other = outputs.chunk(2)
    apart = divergence(other, one)["loss_kd"] + divergence(one, other)["loss_kd"]
    valid = ~make_pad_mask(lens[: len(one)], maxlen=outputs.size(1))
    return 0.5 * (apart * valid.to(apart.device)).sum() / len(one)
