"""The models of the table, in the order in which they are trained, and their options.

A model is the base configuration with a few options changed. Keys are dotted names of
ESPnet's YAML; None removes one. Rows that differ only in how they learn to skip share
their first steps, in which none of them does: they branch off the row `trunk`.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, Tuple

#: What all models have in common; ESPnet's YAML.
BASE: Dict[str, Any] = dict(
    token_type="bpe",
    input_size=None,
    ctc_conf={},
    preencoder=None,
    postencoder=None,
    decoder=None,
    decoder_conf={},
    frontend="default",
    frontend_conf=dict(n_fft=512, win_length=400, hop_length=160),
    specaug="specaug",
    specaug_conf=dict(
        apply_time_warp=False,
        apply_freq_mask=True,
        freq_mask_width_range=[0, 27],
        num_freq_mask=2,
        apply_time_mask=True,
        time_mask_width_ratio_range=[0.0, 0.05],
        num_time_mask=10,
    ),
    normalize="global_mvn",
    encoder="blankskip_conformer",
    encoder_conf=dict(
        output_size=96,
        attention_heads=4,
        linear_units=384,
        num_blocks=6,
        dropout_rate=0.1,
        positional_dropout_rate=0.0,
        attention_dropout_rate=0.0,
        input_layer="dw_conv2d8",
        subsampling_channels=48,  # 96 take a fifth of a training step on a CPU
        macaron_style=True,
        rel_pos_type="latest",
        pos_enc_layer_type="rel_pos",
        selfattention_layer_type="rel_selfattn",
        use_cnn_module=True,
        cnn_module_kernel=15,
        interctc_layer_idx=[2],
        gate_layers=[2],
        blank_threshold=0.95,
        spike_extension=0,
        attn_context="all",
        train_skip=False,
    ),
    model="blankskip",
    model_conf=dict(
        ctc_weight=1.0,
        interctc_weight=0.5,
        factorized_ctc=True,
        kd_weight=0.0,
        consistency_weight=0.0,
    ),
)

#: An encoder of ESPnet's in place of ours, without intermediate CTC.
_STOCK = {
    "encoder": "conformer",
    "encoder_conf.input_layer": "conv2d",
    "encoder_conf.num_blocks": 12,
    "encoder_conf.interctc_layer_idx": [],
    "encoder_conf.subsampling_channels": None,
    "encoder_conf.gate_layers": None,
    "encoder_conf.blank_threshold": None,
    "encoder_conf.spike_extension": None,
    "encoder_conf.attn_context": None,
    "encoder_conf.train_skip": None,
    "model_conf.interctc_weight": 0.0,
    "model_conf.factorized_ctc": False,
}
_AN4 = {
    "specaug_conf.freq_mask_width_range": [0, 16],
    "specaug_conf.num_time_mask": 2,
}


def skipping(*layers: int) -> Dict[str, Any]:
    """Options of a model that is trained to skip after these layers."""
    return {
        "encoder_conf.gate_layers": list(layers),
        "encoder_conf.train_skip": 0.5,  # of the batches: the dense pass stays good too
    }


def depth(layers: int, *interctc: int) -> Dict[str, Any]:
    """Options of an encoder of that many layers with intermediate CTC at some."""
    return {
        "encoder_conf.num_blocks": layers,
        "encoder_conf.interctc_layer_idx": list(interctc),
        "encoder_conf.gate_layers": list(interctc[:1]),
    }


@dataclass(frozen=True)
class Row:
    """A model to train.

    Attributes:
        what: in words.
        changes: of the base configuration.
        seeds: with which it is trained where no rows are named.
        corpus: "librispeech" or "an4".
        vocabulary: number of subwords.
        trunk: the row whose first steps it shares, or "".
        init: the row whose encoder it begins with, what fits of it, or "".
        length: of the training, in those of the others.
        drawn: gate options, of which each training batch draws one.
    """

    what: str
    changes: Dict[str, Any] = field(default_factory=dict)
    seeds: Tuple[int, ...] = (1,)
    corpus: str = "librispeech"
    vocabulary: int = 500
    trunk: str = ""
    init: str = ""
    length: float = 1.0
    drawn: Tuple[Dict[str, Any], ...] = ()


_THRESHOLDS = tuple(dict(blank_threshold=p) for p in (0.5, 0.7, 0.9, 0.95))
_KD = {"model_conf.kd_weight": 0.1}

#: Other ways to learn to skip, each one branch of a trunk.
_BRANCHES: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "always": ("in every batch", {"encoder_conf.train_skip": True}),
    "kd": ("distillation", _KD),
    "kd-kept": (
        "distillation of kept frames",
        {**_KD, "model_conf.kd_frames": "kept"},
    ),
    "kd-symmetric": (
        "distillation of symmetric frames",
        {**_KD, "model_conf.kd_frames": "symmetric"},
    ),
    "extension1": ("extension 1", {"encoder_conf.spike_extension": 1}),
    "kept": ("attention to kept frames", {"encoder_conf.attn_context": "kept"}),
    "zero": ("zeros in the convolution", {"encoder_conf.conv_context": "zero"}),
    "packed": (
        "packed neighbours in the convolution",
        {"encoder_conf.conv_context": "packed"},
    ),
}

_BY_4 = {"encoder_conf.input_layer": "dw_conv2d"}

#: An encoder that aligns already: from nothing, utterances as long as LibriSpeech's
#: take thousands of steps to that.
_START = "an4-layers4"


def _an4(what: str, changes: Dict[str, Any], trunk: str = "", **options) -> Row:
    """A row of AN4, over frames of 80 ms with 80 pieces unless said."""
    options = {"vocabulary": 80, **options}
    changes = {**_AN4, **changes}
    return Row(what, changes, (1, 2, 3), "an4", trunk=trunk, **options)


def _an4_by_4(what: str, changes: Dict[str, Any], vocabulary=50, **options) -> Row:
    """A row of AN4 over frames of 40 ms."""
    what, changes = f"{what}, dw_conv2d, BPE {vocabulary}", {**_BY_4, **changes}
    return _an4(what, changes, vocabulary=vocabulary, **options)


def _bpe_300(what: str, changes: Dict[str, Any], **options) -> Row:
    """A row of LibriSpeech over frames of 40 ms."""
    what, changes = f"{what}, dw_conv2d, BPE 300", {**_BY_4, **changes}
    if "trunk" not in options:
        options["init"] = "an4-by4-layers6"
    return Row(what, changes, vocabulary=300, **options)


ROWS: Dict[str, Row] = {
    # AN4, at what two cores can train in half an hour
    "an4-by4-bpe50": _an4_by_4("6 layers", {}),
    "an4-by4-bpe50-gate2": _an4_by_4(
        "skipping after layer 2", skipping(2), trunk="an4-by4-bpe50"
    ),
    "an4-by4-bpe50-layers4": _an4_by_4("4 layers", depth(4, 2)),
    "an4-by4-bpe50-gate2-thresholds": _an4_by_4(
        "skipping after layer 2, a threshold drawn per batch",
        skipping(2),
        trunk="an4-by4-bpe50",
        drawn=_THRESHOLDS,
    ),
    **{
        f"an4-by4-bpe50-gate2-{name}": _an4_by_4(
            f"skipping after layer 2, {what}",
            {**skipping(2), **changes},
            trunk="an4-by4-bpe50",
        )
        for name, (what, changes) in _BRANCHES.items()
    },
    "an4-by4-bpe50-plain": _an4_by_4(
        "skipping after layer 2, plain head",
        {**skipping(2), "model_conf.factorized_ctc": False},
    ),
    "an4-by4-bpe50-gates2,4": _an4_by_4(
        "skipping after layers 2 and 4", {**depth(6, 2, 4), **skipping(2, 4)}
    ),
    "an4-by4-bpe50-layers12": _an4_by_4(
        "12 layers, skipping after layer 3", {**depth(12, 3, 6, 9), **skipping(3)}
    ),
    "an4-by4-bpe80": _an4_by_4("6 layers", {}, 80),
    "an4-by4-bpe80-gate2": _an4_by_4(
        "skipping after layer 2", skipping(2), 80, trunk="an4-by4-bpe80"
    ),
    "an4-stock": _an4(
        "stock conformer, 12 layers, conv2d, BPE 50", _STOCK, vocabulary=50
    ),
    "an4-stock-interctc": _an4(
        "stock conformer, 12 layers, conv2d, BPE 50, interCTC at 3, 6, 9",
        {
            **_STOCK,
            "encoder_conf.interctc_layer_idx": [3, 6, 9],
            "model_conf.interctc_weight": 0.5,
        },
        vocabulary=50,
    ),
    "an4-by4": _an4_by_4("4 layers", depth(4, 1), 30),
    "an4-by4-gate1": _an4_by_4(
        "4 layers, skipping after layer 1",
        {**depth(4, 1), **skipping(1)},
        30,
        trunk="an4-by4",
    ),
    "an4-by4-layers6": _an4_by_4("6 layers", {}, 30),
    "an4-by4-layers6-gate2": _an4_by_4(
        "6 layers, skipping after layer 2", skipping(2), 30, trunk="an4-by4-layers6"
    ),
    "an4-layers4": _an4("4 layers, trained as such", depth(4, 2)),
    "an4-layers4-gate2": _an4(
        "4 layers, skipping after layer 2",
        {**depth(4, 2), **skipping(2)},
        "an4-layers4",
    ),
    "an4-dense": _an4("6 layers, never skipped", {}),
    "an4-gate2": _an4("6 layers, skipping after layer 2", skipping(2), "an4-dense"),
    "an4-interctc2,4": _an4("6 layers, interCTC at 2 and 4", depth(6, 2, 4)),
    "an4-gate2-interctc2,4": _an4(
        "skipping after layer 2, interCTC at 2 and 4",
        {**depth(6, 2, 4), **skipping(2)},
        "an4-interctc2,4",
    ),
    "an4-consistency": _an4(
        "6 layers, interCTC at 2 and 4, consistency, half the steps",
        {
            **depth(6, 2, 4),
            "model_conf.consistency_weight": 0.2,
            "specaug_conf.freq_mask_width_range": [0, 27],
            "specaug_conf.num_time_mask": 10,
        },
        length=0.5,
    ),
    # mini LibriSpeech
    "by4": _bpe_300("6 layers", {}),
    "by4-gate2": _bpe_300("skipping after layer 2", skipping(2), trunk="by4"),
    "by4-gate2-thresholds": _bpe_300(
        "skipping after layer 2, a threshold drawn per batch",
        skipping(2),
        trunk="by4",
        drawn=_THRESHOLDS,
    ),
    "by4-layers4": _bpe_300("4 layers", depth(4, 2)),
    "dense": Row("6 layers, never skipped", init=_START),
    "gate2": Row("6 layers, skipping after layer 2", skipping(2), trunk="dense"),
    "stock": Row("stock conformer, 12 layers, conv2d", _STOCK, init=_START),
}


def configuration(row: Row) -> Dict[str, Any]:
    """The base configuration with the row's changes made."""
    config = {k: dict(v) if isinstance(v, dict) else v for k, v in BASE.items()}
    for name, value in row.changes.items():
        section, _, option = name.rpartition(".")
        target = config[section] if section else config
        if value is None:
            target.pop(option, None)
        else:
            target[option] = value
    return config
