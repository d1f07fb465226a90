"""What all accelerated modules share: when they apply, and what they remember."""

from typing import Optional

import torch
from torch import Tensor

from espnet_blankskip.acceleration.derived import Derived


class Accelerated:
    """Mix-in that gives a torch module a second, faster ``forward`` for inference.

    A module becomes accelerated in place, by a change of class, as
    ``torch.nn.utils.parametrize`` does it: parameters, their names, hooks and
    references to the module all stay.

    Attributes:
        compute_dtype: type of the arithmetic; None for that of the input.
        derived: weights laid out for the fast path.
    """

    compute_dtype: Optional[torch.dtype]
    derived: Derived

    def train(self, mode: bool = True):
        """Set the mode, and look at the weights anew, whoever wrote into them."""
        self.derived.forget()
        return super().train(mode)

    def applies(self, x: Tensor) -> bool:
        """Whether this call may take the fast path.

        Not in training or where gradients are recorded, which keep torch's own
        arithmetic bit for bit; nor under autocast, which chooses types itself, or
        where the module is being traced for another runtime.
        """
        return not (
            self.training
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled(x.device.type)
            or torch.jit.is_tracing()
            or torch.compiler.is_compiling()
            or x.numel() == 0
        )

    @staticmethod
    def can_replace(module: torch.nn.Module) -> bool:
        """Whether a module of the stock class may become one of this class."""
        return True

    def dtype_for(self, x: Tensor) -> torch.dtype:
        """Type of the arithmetic on an input."""
        return self.compute_dtype or x.dtype


def fast(module: torch.nn.Module, x: Tensor) -> bool:
    """Whether a module is accelerated and would take its fast path for ``x``."""
    return isinstance(module, Accelerated) and module.applies(x)
