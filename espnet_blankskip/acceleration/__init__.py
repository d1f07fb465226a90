"""Inference of ESPnet encoders by faster arithmetic with the same results.

`accelerate` swaps the classes of an encoder's modules for ones that compute the
same by kernels and memory layouts that suit inference. It is plain PyTorch. Weights,
their names and training stay as they are.
"""

import logging
from collections import Counter
from typing import Optional, Union

import torch

from espnet_blankskip.acceleration.attention import AcceleratedAttention
from espnet_blankskip.acceleration.convolution import (
    AcceleratedBatchNorm,
    AcceleratedDepthwiseConv,
    AcceleratedSwish,
)
from espnet_blankskip.acceleration.derived import Derived
from espnet_blankskip.acceleration.linear import (
    AcceleratedFeedForward,
    AcceleratedLinear,
    AcceleratedPointwiseConv,
)
from espnet_blankskip.acceleration.module import Accelerated, fast
from espnet_blankskip.acceleration.relative_attention import (
    AcceleratedLegacyRelAttention,
    AcceleratedRelAttention,
)
from espnet_blankskip.acceleration.subsampling import AcceleratedSubsampling
from espnet_blankskip.upstream import (
    LegacyRelPositionMultiHeadedAttention,
    MultiHeadedAttention,
    PositionwiseFeedForward,
    RelPositionMultiHeadedAttention,
    Swish,
)

logger = logging.getLogger(__name__)

__all__ = ["accelerate", "fast"]

# exact class -> classes that can stand in for it, where their can_replace agrees
_STAND_INS = {
    torch.nn.Linear: [AcceleratedLinear],
    torch.nn.Conv1d: [AcceleratedPointwiseConv, AcceleratedDepthwiseConv],
    torch.nn.BatchNorm1d: [AcceleratedBatchNorm],
    torch.nn.Sequential: [AcceleratedSubsampling],
    Swish: [AcceleratedSwish],
    PositionwiseFeedForward: [AcceleratedFeedForward],
    MultiHeadedAttention: [AcceleratedAttention],
    RelPositionMultiHeadedAttention: [AcceleratedRelAttention],
    LegacyRelPositionMultiHeadedAttention: [AcceleratedLegacyRelAttention],
}
_DTYPES = {None: None, "float32": None, "bfloat16": torch.bfloat16}


def accelerate(
    model: torch.nn.Module, dtype: Union[str, torch.dtype, None] = None
) -> torch.nn.Module:
    """Make an encoder fast in inference, by exact rewrites of its modules.

    Works on any ESPnet encoder, with gates or without, as far as it is made of
    ESPnet's usual modules; others stay as they are, and a line of the log says so.
    In evaluation mode and without gradients the results equal the stock ones up to
    rounding. Training and whatever records gradients keep the stock arithmetic bit
    for bit. ``state_dict`` is untouched, ``load_state_dict`` and ``.to(...)`` may
    follow; the fast path keeps a second copy of the weights in memory.

    Args:
        model: an ESPnet model, whose encoder and CTC head become fast, or an encoder.
        dtype: "bfloat16" runs the encoder's products in that type, on processors
            that have it. Residual stream, norms, gates and CTC head stay float32,
            and so do the parameters.

    Returns:
        The model itself. Calling again with another ``dtype`` changes it.

    Raises:
        ValueError: if ``dtype`` is neither "float32" nor "bfloat16", or if the
            processor has no arithmetic for it.
    """
    compute_dtype = _checked_dtype(dtype, model)
    encoder = getattr(model, "encoder", model)
    _replace_modules(encoder, compute_dtype)
    if encoder is not model and hasattr(model, "ctc"):
        _replace_modules(model.ctc, None)
    _report(encoder)
    return model


def _checked_dtype(dtype, model) -> Optional[torch.dtype]:
    name = str(dtype).replace("torch.", "") if dtype is not None else None
    if name not in _DTYPES:
        raise ValueError(f"dtype={name} must be float32 or bfloat16")
    parameter = next(model.parameters(), None)
    if name == "bfloat16" and parameter is not None:
        if not has_bfloat16(parameter.device):
            raise ValueError(
                "dtype=bfloat16 gains nothing here: the processor has no arithmetic "
                "for it (avx512_bf16 or amx_bf16); use float32"
            )
    return _DTYPES[name]


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has arithmetic for bfloat16, and does not only emulate it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return any(
        has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name
    )


def _replace_modules(root: torch.nn.Module, compute_dtype) -> None:
    for module in root.modules():
        for stand_in in _STAND_INS.get(type(module), ()):
            if stand_in.can_replace(module):
                module.__class__ = stand_in
                module.derived = Derived()
                break
        if isinstance(module, Accelerated):
            module.compute_dtype = compute_dtype


def _report(encoder: torch.nn.Module) -> None:
    """Log what became of the encoder."""
    swapped = Counter(
        type(module).__name__
        for module in encoder.modules()
        if isinstance(module, Accelerated)
    )
    logger.info("accelerated %d modules: %s", sum(swapped.values()), dict(swapped))
    left = Counter(
        type(module).__name__
        for module in encoder.modules()
        if "Attention" in type(module).__name__ and not isinstance(module, Accelerated)
    )
    if left or not swapped:
        logger.warning("left as they are: %s", dict(left) or type(encoder).__name__)
