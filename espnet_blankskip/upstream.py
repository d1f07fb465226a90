"""The one door to ESPnet's internals.

Every class or function of ESPnet that the plugin relies on is imported here and
nowhere else, so that a move upstream (``espnet.nets`` is on its way into
``espnet2.legacy``) is a change of this file. Checked against ESPnet 202511.
"""

from espnet.nets.pytorch_backend.nets_utils import make_pad_mask
from espnet.nets.pytorch_backend.transformer.attention import (
    LegacyRelPositionMultiHeadedAttention,
    MultiHeadedAttention,
    RelPositionMultiHeadedAttention,
)
from espnet.nets.pytorch_backend.transformer.subsampling import (
    TooShortUttError,
    check_short_utt,
)
from espnet2.asr.ctc import CTC
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.utils import config_argparse
from espnet2.utils.types import str_or_none

__all__ = [
    "CTC",
    "ConformerEncoder",
    "ESPnetASRModel",
    "LegacyRelPositionMultiHeadedAttention",
    "MultiHeadedAttention",
    "RelPositionMultiHeadedAttention",
    "TooShortUttError",
    "asr_task",
    "check_short_utt",
    "config_argparse",
    "force_gatherable",
    "make_pad_mask",
    "str_or_none",
]


def asr_task():
    """Return ESPnet's ``ASRTask`` class; its import alone takes ten CPU seconds."""
    from espnet2.tasks.asr import ASRTask

    return ASRTask
