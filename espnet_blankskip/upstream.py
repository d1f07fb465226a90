"""The one door to ESPnet's internals.

Every class or function of ESPnet that the plugin relies on is imported here and
nowhere else, so that a move upstream (``espnet.nets`` is on its way into
``espnet2.legacy``) is a change of this file. Checked against ESPnet 202511.
"""

import contextlib
import io

from espnet.nets.pytorch_backend.nets_utils import make_pad_mask
from espnet.nets.pytorch_backend.transformer.attention import (
    LegacyRelPositionMultiHeadedAttention,
    MultiHeadedAttention,
    RelPositionMultiHeadedAttention,
)
from espnet.nets.pytorch_backend.transformer.embedding import (
    ConvolutionalPositionalEmbedding,
)
from espnet.nets.pytorch_backend.transformer.subsampling import (
    TooShortUttError,
    check_short_utt,
)
from espnet2.asr.ctc import CTC
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
from espnet2.asr.encoder.e_branchformer_ctc_encoder import EBranchformerCTCEncoder
from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoder
from espnet2.asr.encoder.transformer_encoder import TransformerEncoder
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.layers.fastformer import FastSelfAttention
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.utils import config_argparse
from espnet2.utils.types import str_or_none

__all__ = [
    "CTC",
    "ConformerEncoder",
    "ConvolutionalPositionalEmbedding",
    "EBranchformerCTCEncoder",
    "EBranchformerEncoder",
    "ESPnetASRModel",
    "FastSelfAttention",
    "LegacyRelPositionMultiHeadedAttention",
    "MultiHeadedAttention",
    "PACK_MODULE",
    "RelPositionMultiHeadedAttention",
    "TooShortUttError",
    "TransformerEncoder",
    "asr_task",
    "check_short_utt",
    "config_argparse",
    "espnet_version",
    "force_gatherable",
    "make_pad_mask",
    "model_downloader",
    "s2t_ctc_task",
    "stock_encoder",
    "str_or_none",
]

# run as a process, because it names files relative to the folder it runs in
PACK_MODULE = "espnet2.bin.pack"


def asr_task():
    """Return ESPnet's ``ASRTask`` class; its import alone takes ten CPU seconds.

    Quietly: offline it would print several lines about NLTK data that a CTC model
    with ordinary tokens never reads.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        with contextlib.redirect_stderr(io.StringIO()):
            from espnet2.tasks.asr import ASRTask

    return ASRTask


def s2t_ctc_task():
    """Return ESPnet's ``S2TTask`` class for OWSM-CTC; as slow to import as ASR's."""
    from espnet2.tasks.s2t_ctc import S2TTask

    return S2TTask


def espnet_version() -> str:
    """Return the version of the ESPnet installed, such as "202511"."""
    import espnet

    return str(espnet.__version__)


def model_downloader():
    """Return ``espnet_model_zoo``'s ``ModelDownloader`` class."""
    from espnet_model_zoo.downloader import ModelDownloader

    return ModelDownloader


def stock_encoder(name: str):
    """Return the class of an ESPnet encoder that the plugin has a twin of.

    Args:
        name: its name in ESPnet's configs; None comes back for any other.
    """
    return {
        "conformer": ConformerEncoder,
        "e_branchformer": EBranchformerEncoder,
        "e_branchformer_ctc": EBranchformerCTCEncoder,
        "transformer": TransformerEncoder,
    }.get(name)
