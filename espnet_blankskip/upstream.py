"""The one door to ESPnet's internals.

Every class or function of ESPnet that the plugin relies on is imported here and
nowhere else, so that a move upstream is a change of this file.

Raises:
    ESPnetUnusable: on import, where there is no ESPnet that the plugin can work with.
"""

import contextlib
import importlib
import sys
from types import SimpleNamespace
from typing import Optional

from espnet_blankskip.espnet_version import FoundESPnet, check_espnet

#: The ESPnet at hand.
ESPNET: FoundESPnet = check_espnet()

# ruff: isort: split
from espnet2.asr.ctc import CTC
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
from espnet2.asr.encoder.e_branchformer_ctc_encoder import EBranchformerCTCEncoder
from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoder
from espnet2.asr.encoder.transformer_encoder import TransformerEncoder
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.layers.fastformer import FastSelfAttention
from espnet2.torch_utils.device_funcs import force_gatherable

# "espnet.nets.pytorch_backend" until 202511, "espnet2.legacy.nets.pytorch_backend"
# since: asked of the encoder itself, because a tree can hold both
_BACKEND = sys.modules[ConformerEncoder.__module__].make_pad_mask.__module__
_BACKEND = _BACKEND.rpartition(".")[0]


def _backend(module: str):
    return importlib.import_module(f"{_BACKEND}.{module}")


_attention = _backend("transformer.attention")
_subsampling = _backend("transformer.subsampling")
ConvolutionalPositionalEmbedding = _backend(
    "transformer.embedding"
).ConvolutionalPositionalEmbedding
LegacyRelPositionMultiHeadedAttention = _attention.LegacyRelPositionMultiHeadedAttention
MultiHeadedAttention = _attention.MultiHeadedAttention
PositionwiseFeedForward = _backend(
    "transformer.positionwise_feed_forward"
).PositionwiseFeedForward
RelPositionMultiHeadedAttention = _attention.RelPositionMultiHeadedAttention
Swish = _backend("conformer.swish").Swish
TooShortUttError = _subsampling.TooShortUttError
check_short_utt = _subsampling.check_short_utt
make_pad_mask = _backend("nets_utils").make_pad_mask

__all__ = [
    "CTC",
    "ConformerEncoder",
    "ConvolutionalPositionalEmbedding",
    "EBranchformerCTCEncoder",
    "EBranchformerEncoder",
    "ESPNET",
    "ESPnetASRModel",
    "FastSelfAttention",
    "LegacyRelPositionMultiHeadedAttention",
    "MultiHeadedAttention",
    "PACK_MODULE",
    "PositionwiseFeedForward",
    "RelPositionMultiHeadedAttention",
    "Swish",
    "TooShortUttError",
    "TransformerEncoder",
    "asr_task",
    "check_short_utt",
    "espnet3_module",
    "force_gatherable",
    "make_pad_mask",
    "mel_filters_by",
    "model_downloader",
    "model_part",
    "optimizers_and_schedulers",
    "s2t_ctc_task",
    "speech2text_class",
    "stock_encoder",
]

# further names here, imported when first asked for: only ESPnet-style commands need
# them, and they bring setuptools along
_LATER = {
    "config_argparse": ("espnet2.utils.config_argparse", None),
    "str_or_none": ("espnet2.utils.types", "str_or_none"),
}

# (option of a training config, value) -> class; those of ESPnet's parts whose import
# is cheap. A part that is not listed here needs the task.
_PARTS = {
    ("frontend", "default"): ("espnet2.asr.frontend.default", "DefaultFrontend"),
    ("specaug", "specaug"): ("espnet2.asr.specaug.specaug", "SpecAug"),
    ("normalize", "global_mvn"): ("espnet2.layers.global_mvn", "GlobalMVN"),
    ("normalize", "utterance_mvn"): ("espnet2.layers.utterance_mvn", "UtteranceMVN"),
    ("preencoder", "linear"): ("espnet2.asr.preencoder.linear", "LinearProjection"),
    ("preencoder", "sinc"): ("espnet2.asr.preencoder.sinc", "LightweightSincConvs"),
    ("encoder", "branchformer"): (
        "espnet2.asr.encoder.branchformer_encoder",
        "BranchformerEncoder",
    ),
    ("encoder", "conformer"): (
        "espnet2.asr.encoder.conformer_encoder",
        "ConformerEncoder",
    ),
    ("encoder", "e_branchformer"): (
        "espnet2.asr.encoder.e_branchformer_encoder",
        "EBranchformerEncoder",
    ),
    ("encoder", "transformer"): (
        "espnet2.asr.encoder.transformer_encoder",
        "TransformerEncoder",
    ),
    ("decoder", "transformer"): (
        "espnet2.asr.decoder.transformer_decoder",
        "TransformerDecoder",
    ),
    ("model", "espnet"): ("espnet2.asr.espnet_model", "ESPnetASRModel"),
    ("model", "espnet_ctc"): ("espnet2.s2t.espnet_ctc_model", "ESPnetS2TCTCModel"),
    ("promptencoder", "transformer"): (
        "espnet2.asr.encoder.transformer_encoder",
        "TransformerEncoder",
    ),
}

# run as a process, because it names files relative to the folder it runs in
PACK_MODULE = "espnet2.bin.pack"


def __getattr__(name: str):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = importlib.import_module(module)
    return found if attribute is None else getattr(found, attribute)


def model_part(option: str, name: str) -> Optional[type]:
    """Return ESPnet's class of a part of a model without importing a task.

    Args:
        option: Option of a training config: "frontend", "encoder", ...
        name: Its value.

    Returns:
        The class; None where only the task knows it.
    """
    if (option, name) not in _PARTS:
        return None
    module, attribute = _PARTS[option, name]
    return getattr(importlib.import_module(module), attribute)


@contextlib.contextmanager
def mel_filters_by(mel_filters):
    """Let front-ends that are built inside take their mel filters from elsewhere.

    ESPnet calls ``librosa.filters.mel``, whose import (scipy.signal, numba) takes
    0.8 s of a process.

    Args:
        mel_filters: Function with that one's arguments and result.
    """
    from espnet2.layers import log_mel

    librosa = log_mel.librosa
    log_mel.librosa = SimpleNamespace(filters=SimpleNamespace(mel=mel_filters))
    try:
        yield
    finally:
        log_mel.librosa = librosa


def optimizers_and_schedulers():
    """Return ESPnet's classes of optimizers and of schedulers, by name."""
    asr_task()
    from espnet2.tasks.abs_task import optim_classes, scheduler_classes

    return optim_classes, scheduler_classes


def asr_task():
    """Return ESPnet's ``ASRTask`` class; its import alone takes ten CPU seconds."""
    from espnet2.tasks.asr import ASRTask

    return ASRTask


def s2t_ctc_task():
    """Return ESPnet's ``S2TTask`` class for OWSM-CTC; as slow to import as ASR's."""
    asr_task()  # quietly, what the two share
    from espnet2.tasks.s2t_ctc import S2TTask

    return S2TTask


def speech2text_class():
    """Return ESPnet's ``Speech2Text`` class of ``asr_inference``; imports the task."""
    asr_task()
    from espnet2.bin.asr_inference import Speech2Text

    return Speech2Text


def espnet3_module(name: str):
    """Return a module of ESPnet3.

    Args:
        name: Its name below ``espnet3``, such as "systems.esp2_asr.task".

    Raises:
        ImportError: ESPnet3, or a package that it needs, is not installed; the
            message says what to install.
    """
    try:
        return importlib.import_module(f"espnet3.{name}")
    except ModuleNotFoundError as missing:
        package = str(missing.name).split(".")[0]
        reason = f"it needs {package}, which is not installed"
        if package == "espnet3":
            reason = f"ESPnet {ESPNET.version} does not have it, 202609 does"
    raise ImportError(f"no ESPnet3: {reason}: pip install -U 'espnet[asr,train]'")


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
