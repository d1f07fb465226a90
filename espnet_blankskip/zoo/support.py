"""What the plugin can do with a checkpoint, and what stands in the way.

Everything is read from the config and the names and shapes of the weights; no model
is built, so this also works for models that could not be.
"""

import inspect as introspection
from typing import Any, Dict, List, Set

import torch

from espnet_blankskip.checkpoint.s2t_ctc_building import (
    S2T_CTC_MODEL,
    is_s2t_ctc,
    s2t_ctc_encoder,
)
from espnet_blankskip.encoders import ENCODERS, S2T_ENCODERS
from espnet_blankskip.upstream import ESPnetASRModel, model_part, stock_encoder
from espnet_blankskip.zoo.archive import Checkpoint
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.weights import count_layers, encoder_kind, head_shape

PREFIX = "blankskip_"
ALL_ENCODERS = {**ENCODERS, **S2T_ENCODERS}
# the only parts of a model that need no further file or download to be built
SELF_CONTAINED = {
    "frontend": (None, "default", "sliding_window"),
    "preencoder": (None, "linear", "sinc"),
    "postencoder": (None, "length_adaptor"),
    "decoder": (
        None,
        "transformer",
        "lightweight_conv",
        "lightweight_conv2d",
        "dynamic_conv",
        "dynamic_conv2d",
        "rnn",
        "transducer",
        "mlm",
    ),
}


def twin_of(encoder: str) -> str:
    """The blankskip encoder for an encoder name of ESPnet, or "" where there is none.

    A blankskip encoder is its own twin.
    """
    name = encoder if encoder.startswith(PREFIX) else PREFIX + encoder
    return name if name in ALL_ENCODERS else ""


def encoder_options(config: Dict[str, Any]) -> Dict[str, Any]:
    """The encoder's options, with the class's defaults where the config is silent."""
    name = str(config.get("encoder"))
    cls = ALL_ENCODERS.get(name) or stock_encoder(name)
    options = dict(defaults_of(cls)) if cls is not None else {}
    options.update(config.get("encoder_conf") or {})
    return options


def defaults_of(cls: type) -> Dict[str, Any]:
    """Options of a class by name, with defaults; those behind ``**kwargs`` too."""
    options: Dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = introspection.signature(base.__init__).parameters.values()
        for p in parameters:
            if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                options.setdefault(p.name, p.default)
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return options


def unknown_options(config: Dict[str, Any]) -> List[str]:
    """Options of the encoder and model that the installed classes do not take.

    Returns:
        Names as in the config, such as "encoder_conf.new_thing"; an encoder or
        model that is unknown as a whole is not listed.
    """
    name = str(config.get("encoder"))
    classes = {"encoder_conf": ALL_ENCODERS.get(name) or stock_encoder(name)}
    if config.get("model", "espnet") == "espnet":
        classes["model_conf"] = ESPnetASRModel
    elif is_s2t_ctc(config):
        classes["model_conf"] = model_part("model", S2T_CTC_MODEL)
    elif config.get("model") == "blankskip":
        from espnet_blankskip.model import BlankSkipASRModel

        classes["model_conf"] = BlankSkipASRModel
    unknown = []
    for section, cls in classes.items():
        if cls is not None:
            known: Set[str] = set(defaults_of(cls))
            given = config.get(section) or {}
            unknown += [f"{section}.{key}" for key in given if key not in known]
    return unknown


def obstacles(checkpoint: Checkpoint, state: Dict[str, torch.Tensor]) -> List[str]:
    """Reasons why no frame of this checkpoint can ever skip a layer; [] if none."""
    config, found = checkpoint.config, []
    name = str(config.get("encoder"))
    options = encoder_options(config)
    joint = bool(config.get("joint_net_conf"))  # ESPnet3 writes {} for none
    if config.get("decoder") == "transducer" or joint:
        found.append("decoder=transducer: its search reads every frame, not a CTC")
    for part in ("encoder", "frontend", "decoder"):
        if config.get(part) == "whisper":
            found.append(f"{part}=whisper: has no CTC and absolute positions")
    if is_s2t_ctc(config):
        try:
            s2t_ctc_encoder(name)
        except ValueError as error:
            found.append(str(error))
    elif checkpoint.task != "asr":
        found.append(
            f"task={checkpoint.task}, model={config.get('model', 'espnet')}: its "
            "attention decoder reads every frame; of the S2T task only OWSM-CTC "
            f"(model={S2T_CTC_MODEL}) is decoded here"
        )
    elif twin_of(name) in S2T_ENCODERS:
        found.append(f"encoder={name}: belongs to model={S2T_CTC_MODEL}")
    elif not twin_of(name) and name != "whisper":
        names = ", ".join(n[len(PREFIX) :] for n in ENCODERS)
        found.append(f"encoder={name}: only these have a skipping form: {names}")
    if head_shape(state) is None:
        found.append("no CTC head (ctc.ctc_lo) in the weights: nothing to gate with")
    elif (config.get("model_conf") or {}).get("ctc_weight", 0.5) == 0:
        found.append("model_conf ctc_weight=0: its CTC head was not trained")
    if config.get("model", "espnet") not in ("espnet", "blankskip", S2T_CTC_MODEL):
        found.append(f"model={config['model']}: has its own use of the CTC")
    if config.get("postencoder") is not None:
        found.append(
            f"postencoder={config['postencoder']}: the CTC head does not read the "
            "encoder's own states"
        )
    if twin_of(name):
        found += _encoder_obstacles(options)
    return found


def _encoder_obstacles(options: Dict[str, Any]) -> List[str]:
    found = []
    attention = options.get(
        "selfattention_layer_type", options.get("attention_layer_type", "selfattn")
    )
    legacy = options.get("rel_pos_type") == "legacy" and attention == "rel_selfattn"
    if legacy or attention == "legacy_rel_selfattn":
        found.append(
            "rel_pos_type=legacy (ESPnet's default where a conformer's config does "
            "not say): its position table is indexed by padded length, so kept "
            "frames have no true positions in it"
        )
    elif attention == "fast_selfattn":
        found.append("attention_layer_type=fast_selfattn: sums over every frame")
    if options.get("positionwise_layer_type", "linear") not in ("linear", None):
        found.append(
            f"positionwise_layer_type={options['positionwise_layer_type']}: a "
            "convolution over kept frames would not see true neighbours"
        )
    if options.get("ctc_trim"):
        found.append("ctc_trim=true: shortens the utterance inside the encoder")
    return found


def contradictions(checkpoint: Checkpoint, state: Dict[str, torch.Tensor]) -> List[str]:
    """Where config and weights do not belong together; [] if they do."""
    config, found = checkpoint.config, []
    tokens, head = token_list(config), head_shape(state)
    if head is not None and tokens is not None and len(tokens) != head[0]:
        found.append(
            f"vocabulary: token_list has {len(tokens)} tokens but the CTC head in "
            f"{checkpoint.model_file.name} has {head[0]}"
        )
    options, layers = encoder_options(config), count_layers(state)
    if twin_of(str(config.get("encoder"))):
        if layers == 0:
            found.append(
                f"encoder={config['encoder']} but {checkpoint.model_file.name} has no "
                "encoder.encoders.* weights: wrong encoder kind"
            )
        elif options.get("num_blocks") != layers:
            found.append(
                f"num_blocks={options.get('num_blocks')} but the weights have "
                f"{layers} layers"
            )
        expected = twin_of(str(config["encoder"]))[len(PREFIX) :]
        expected = expected.replace("_ctc", "")  # the same layers
        kind = encoder_kind(state)
        # a conformer whose convolutions are switched off has a transformer's weights
        bare_conformer = (expected, kind) == ("conformer", "transformer")
        if layers and kind != expected and not bare_conformer:
            found.append(
                f"encoder={config['encoder']} but the weights are those of a {kind}: "
                "wrong encoder kind"
            )
        width = options.get("output_size")
        if head is not None and config.get("postencoder") is None and width != head[1]:
            found.append(
                f"output_size={width} but the CTC head reads states of {head[1]}"
            )
    return found


def token_list(config: Dict[str, Any]):
    """The vocabulary as a list, read from its file where the config names one.

    Raises:
        CheckpointError: it is no list of tokens.
    """
    tokens = config.get("token_list")
    if isinstance(tokens, str):
        try:
            with open(tokens, encoding="utf-8") as lines:
                tokens = [line.rstrip("\n") for line in lines]
        except OSError:
            return None  # listed among the checkpoint's missing files
    if tokens is None:
        return None
    if not isinstance(tokens, list) or not all(isinstance(t, str) for t in tokens):
        raise CheckpointError("token_list in the config is not a list of tokens")
    return tokens


def check_self_contained(checkpoint: Checkpoint) -> None:
    """Refuse somebody else's config that would make ESPnet load further models.

    Such front-ends and decoders fetch, and unpickle, files that the config chooses.
    An experiment of one's own may use them.

    Raises:
        CheckpointError: naming the option.
    """
    if checkpoint.kind == "experiment":
        return
    for part, allowed in SELF_CONTAINED.items():
        value = checkpoint.config.get(part)
        if value not in allowed:
            raise CheckpointError(
                f"{checkpoint.source}: refused, {part}={value} would load a further "
                "model from elsewhere while it is built"
            )
    name = str(checkpoint.config.get("encoder"))
    if not twin_of(name):
        raise CheckpointError(
            f"{checkpoint.source}: refused, encoder={name} is none that the plugin "
            "builds from somebody else's archive"
        )
