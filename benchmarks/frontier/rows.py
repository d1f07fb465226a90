"""The models of the table, in the order in which they are trained, and their options.

A model is the base configuration with a few options changed. Keys are dotted names of
ESPnet's YAML; None removes one.
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
        output_size=144,
        attention_heads=4,
        linear_units=576,
        num_blocks=12,
        dropout_rate=0.1,
        positional_dropout_rate=0.0,
        attention_dropout_rate=0.0,
        input_layer="dw_conv2d",
        macaron_style=True,
        rel_pos_type="latest",
        pos_enc_layer_type="rel_pos",
        selfattention_layer_type="rel_selfattn",
        use_cnn_module=True,
        cnn_module_kernel=15,
        interctc_layer_idx=[3, 6, 9],  # one alone leaves the layers above it untaught
        gate_layers=[3],
        blank_threshold=0.95,
        spike_extension=1,
        train_skip=0.5,
    ),
    model="blankskip",
    model_conf=dict(
        ctc_weight=1.0,
        interctc_weight=0.5,
        factorized_ctc=True,
        kd_weight=0.1,
        consistency_weight=0.2,
    ),
)

#: An encoder of ESPnet's in place of ours, without intermediate CTC.
_STOCK = {
    "encoder": "conformer",
    "encoder_conf.interctc_layer_idx": [],
    "encoder_conf.gate_layers": None,
    "encoder_conf.blank_threshold": None,
    "encoder_conf.spike_extension": None,
    "encoder_conf.train_skip": None,
    "model_conf.interctc_weight": 0.0,
    "model_conf.factorized_ctc": False,
    "model_conf.kd_weight": 0.0,
}
#: Our encoder, which never skips in training; its intermediate CTC stays, since without
#: one a deep encoder takes many times as long to begin to learn.
_DENSE = {"encoder_conf.train_skip": False, "model_conf.kd_weight": 0.0}


def gate(*layers: int) -> Dict[str, Any]:
    """Options of gates after these layers, each taught by an intermediate CTC."""
    return {
        "encoder_conf.gate_layers": list(layers),
        "encoder_conf.interctc_layer_idx": sorted({*layers, 6, 9}),
    }


def depth(layers: int) -> Dict[str, Any]:
    """Options of an encoder of that many layers that is never skipped in training."""
    interctc = [n for n in BASE["encoder_conf"]["interctc_layer_idx"] if n < layers]
    changes = {**_DENSE, "encoder_conf.num_blocks": layers}
    changes["encoder_conf.interctc_layer_idx"] = interctc
    if not interctc:
        changes["encoder_conf.gate_layers"] = []
        changes["model_conf.interctc_weight"] = 0.0
    return changes


@dataclass(frozen=True)
class Row:
    """A model to train.

    Attributes:
        what: in words.
        changes: of the base configuration.
        seeds: how often it is trained.
        corpus: "librispeech" or "an4".
        vocabulary: number of subwords.
        length: of the training, in those of the others.
        random_gates: lists of gates, of which each training batch draws one.
    """

    what: str
    changes: Dict[str, Any] = field(default_factory=dict)
    seeds: Tuple[int, ...] = (1,)
    corpus: str = "librispeech"
    vocabulary: int = 500
    length: float = 1.0
    random_gates: Tuple[Tuple[int, ...], ...] = ()


_BY_8 = {"encoder_conf.input_layer": "dw_conv2d8"}
_INTERCTC = {
    **_STOCK,
    "encoder_conf.interctc_layer_idx": [3, 6, 9],
    "model_conf.interctc_weight": 0.5,
}
_AN4 = {
    **_BY_8,
    "encoder_conf.output_size": 96,
    "encoder_conf.linear_units": 384,
    "model_conf.consistency_weight": 0.0,
    "specaug_conf.freq_mask_width_range": [0, 16],
    "specaug_conf.num_time_mask": 2,
}

ROWS: Dict[str, Row] = {
    # ESPnet's own encoder
    "stock": Row(
        "stock conformer, conv2d",
        {**_STOCK, "encoder_conf.input_layer": "conv2d"},
    ),
    "stock-interctc": Row(
        "stock conformer, conv2d, interCTC at 3, 6, 9",
        {**_INTERCTC, "encoder_conf.input_layer": "conv2d"},
    ),
    # by 4
    "by4-gate3": Row("skipping after layer 3", seeds=(1, 2, 3)),
    "by4-layers6": Row("6 layers, trained as such", depth(6), seeds=(1, 2, 3)),
    "by4-dense": Row("12 layers, never skipped", depth(12)),
    "by4-gate4": Row("skipping after layer 4", gate(4)),
    "by4-gate2": Row("skipping after layer 2", gate(2)),
    # by 8
    "by8-gate3": Row("skipping after layer 3", _BY_8, seeds=(1, 2)),
    "by8-dense": Row("12 layers, never skipped", {**depth(12), **_BY_8}),
    "by8-layers7": Row("7 layers, trained as such", {**depth(7), **_BY_8}),
    "by8-layers3": Row(
        "3 layers, trained as such",
        {**depth(3), **_BY_8},
    ),
    "by8-plain": Row(
        "skipping after layer 3, plain head, no distillation",
        {"model_conf.factorized_ctc": False, "model_conf.kd_weight": 0.0, **_BY_8},
    ),
    "by8-factorized": Row(
        "skipping after layer 3, factorized head, no distillation",
        {"model_conf.kd_weight": 0.0, **_BY_8},
    ),
    "by8-kd-symmetric": Row(
        "skipping after layer 3, distillation of symmetric frames",
        {"model_conf.kd_frames": "symmetric", **_BY_8},
    ),
    "by8-kd-kept": Row(
        "skipping after layer 3, distillation of kept frames",
        {"model_conf.kd_frames": "kept", **_BY_8},
    ),
    "by8-gate2": Row("skipping after layer 2", {**gate(2), **_BY_8}),
    "by8-gate4": Row("skipping after layer 4", {**gate(4), **_BY_8}),
    "by8-gate6": Row("skipping after layer 6", {**gate(6), **_BY_8}),
    "by8-gates3,6": Row("skipping after layers 3 and 6", {**gate(3, 6), **_BY_8}),
    "by8-random": Row(
        "skipping after a layer drawn per batch: 2, 3, 4, 6 or 2 and 6",
        {**gate(2, 3, 4, 6), **_BY_8},
        random_gates=((2,), (3,), (4,), (6,), (2, 6)),
    ),
    "by8-zero": Row(
        "skipping after layer 3, zeros in the convolution",
        {"encoder_conf.conv_context": "zero", **_BY_8},
    ),
    "by8-packed": Row(
        "skipping after layer 3, packed neighbours in the convolution",
        {"encoder_conf.conv_context": "packed", **_BY_8},
    ),
    "by8-always": Row(
        "skipping after layer 3 in every batch",
        {"encoder_conf.train_skip": True, **_BY_8},
    ),
    "by8-extension0": Row(
        "skipping after layer 3, trained without extension",
        {"encoder_conf.spike_extension": 0, **_BY_8},
    ),
    "by8-no-consistency": Row(
        "skipping after layer 3, no consistency, twice the steps",
        {
            "model_conf.consistency_weight": 0.0,
            "specaug_conf.num_time_mask": 4,
            **_BY_8,
        },
        length=2.0,
    ),
    "by8-bpe1000": Row("skipping after layer 3, BPE 1000", _BY_8, vocabulary=1000),
    "by8-stock": Row(
        "stock conformer, conv2d8",
        {**_STOCK, "encoder_conf.input_layer": "conv2d8"},
    ),
    # AN4, at what two cores can train in half an hour
    "an4-gate3": Row("skipping after layer 3", _AN4, (1, 2), "an4", 80),
    "an4-dense": Row(
        "12 layers, never skipped",
        {**_AN4, **depth(12)},
        (1, 2),
        "an4",
        80,
    ),
    "an4-layers6": Row(
        "6 layers, trained as such",
        {**_AN4, **depth(6)},
        (1, 2),
        "an4",
        80,
    ),
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
