"""Mean and deviation of features: in a file for training, in the weights ever after.

ESPnet's ``global_mvn`` wants the file again whenever a model is built, although the
weights overwrite what it says.
"""

from pathlib import Path
from typing import Dict

import numpy as np
import torch

OPTION = "normalize_conf.stats_file"
MEAN, DEVIATION = "normalize.mean", "normalize.std"


def has_statistics(state: Dict[str, torch.Tensor]) -> bool:
    """Whether weights hold the statistics."""
    return MEAN in state and DEVIATION in state


def write_statistics(state: Dict[str, torch.Tensor], path: Path) -> None:
    """Write the statistics in weights as ESPnet's stage 10 does."""
    mean, deviation = (state[name].double().cpu().numpy() for name in (MEAN, DEVIATION))
    square = deviation**2 + mean**2
    dtype = state[MEAN].cpu().numpy().dtype
    np.savez(
        path,
        count=np.array(1),
        sum=mean.astype(dtype),
        sum_square=square.astype(dtype),
    )
