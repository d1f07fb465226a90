"""Decide what a conversion changes, before anything is built or written."""

import copy
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from espnet_blankskip.checkpoint.s2t_ctc_building import is_s2t_ctc
from espnet_blankskip.gate_options import GateOptions, Layers
from espnet_blankskip.zoo import support
from espnet_blankskip.zoo.archive import Checkpoint
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.inspection import Inspection

OWN_GATE = (
    "encoder.gate.norm.weight",
    "encoder.gate.norm.bias",
    "encoder.gate.linear.weight",
    "encoder.gate.linear.bias",
    "encoder.blank_state",
)
WARM_START_INTERCTC = 0.3


@dataclass(frozen=True)
class ConversionOptions(GateOptions):
    """Options of ``blankskip convert``: the gates to build, and how.

    Attributes:
        gate_head: "ctc", "own", or "auto": "ctc" where every gate layer has an
            intermediate CTC already, "own" elsewhere.
        factorized: read the CTC head in the factorized way.
        fit_audio: wav.scp to fit new weights on.
    """

    gate_head: str = "auto"
    factorized: bool = False
    fit_audio: Optional[str] = None


@dataclass
class ConversionPlan:
    """What a conversion will do.

    Attributes:
        config: the new training config.
        gate_head: "ctc" or "own".
        new_weights: weights that the source does not have.
        refits_blank: whether row 0 of the CTC head gets another meaning.
        changes: option -> [old, new].
        untrained: what fine-tuning still has to teach, in words.
    """

    config: Dict[str, Any]
    gate_head: str
    new_weights: List[str]
    refits_blank: bool
    changes: Dict[str, List[Any]] = field(default_factory=dict)
    untrained: List[str] = field(default_factory=list)


def plan_conversion(
    checkpoint: Checkpoint, found: Inspection, options: ConversionOptions
) -> ConversionPlan:
    """Rewrite a checkpoint's config.

    Raises:
        CheckpointError: this checkpoint cannot skip, or an option does not fit it.
    """
    source = checkpoint.source
    if found.reasons:
        raise CheckpointError(f"{source}: cannot skip: {'; '.join(found.reasons)}")
    gates = _check_gates(options, found)
    trained = set(found.interctc_layers)
    if found.gate_layers and _gate_head_of(checkpoint) == "ctc":
        trained |= set(found.gate_layers)
    gate_head = _choose_gate_head(options.gate_head, gates, trained)
    old_own = found.gate_layers and _gate_head_of(checkpoint) == "own"
    keeps_own = gate_head == "own" and old_own and found.gate_layers == gates
    if old_own and not keeps_own:
        raise CheckpointError(
            f"{source}: its gate at {found.gate_layers[0]} has a head of its own, "
            "which fits no other gate: convert the checkpoint it was made from"
        )

    config = copy.deepcopy(checkpoint.config)
    plan = ConversionPlan(
        config,
        gate_head,
        list(OWN_GATE) if gate_head == "own" and not keeps_own else [],
        options.factorized and found.ctc_head == "plain",
    )
    config["token_list"] = support.token_list(config)
    _change(plan, "encoder", support.twin_of(found.encoder))
    for key, value in {**options.given(), "gate_head": gate_head}.items():
        _change(plan, f"encoder_conf.{key}", value)
    if not is_s2t_ctc(config):
        _change(plan, "model", "blankskip")
    if options.factorized:
        _change(plan, "model_conf.factorized_ctc", True)
    _plan_training(plan, gates, sorted(set(gates) - trained))
    # what a training would read from a machine that may be far away
    for key in ("init_param", "freeze_param"):
        if config.get(key):
            _change(plan, key, [])
    return plan


def with_gates(
    checkpoint: Checkpoint, found: Inspection, gate_layers: Layers
) -> Dict[str, Any]:
    """Return a stock checkpoint's config with gates that need no new weight.

    Raises:
        CheckpointError: this checkpoint cannot skip, or a layer has no intermediate
            CTC that was trained.
        ValueError: the layers are no list of layers.
    """
    options = ConversionOptions(gate_layers, gate_head="ctc")
    untrained = [n for n in options.gate_layers if n not in found.gates]
    if untrained and not found.reasons:
        layers = ", ".join(map(str, found.gates))
        raise CheckpointError(
            f"{checkpoint.source}: gate_layers={list(options.gate_layers)}: only "
            "layers with an intermediate CTC can gate, "
            + (layers or "and no layer has one")
        )
    return plan_conversion(checkpoint, found, options).config


def _check_gates(options: GateOptions, found: Inspection) -> List[int]:
    gates = list(options.gate_layers or ())
    if not gates or not max(gates) < found.layers:
        raise CheckpointError(
            f"gate_layers={gates} must lie in 1..{found.layers - 1} for the "
            f"{found.layers} layers of {found.source}"
        )
    return gates


def _gate_head_of(checkpoint: Checkpoint) -> str:
    return support.encoder_options(checkpoint.config).get("gate_head", "ctc")


def _choose_gate_head(asked: str, gates: List[int], trained: set) -> str:
    if asked == "auto":
        asked = "ctc" if set(gates) <= trained else "own"
        if asked == "own" and len(gates) > 1:
            new = ", ".join(str(n) for n in gates if n not in trained)
            raise CheckpointError(
                f"gate_layers={gates}: no intermediate CTC was trained at {new}, and "
                "only a single gate can have a head of its own: give one layer, or "
                "gate_head=ctc and fine-tune"
            )
    if asked == "own" and len(gates) > 1:
        raise CheckpointError(f"gate_head=own takes one gate, not gate_layers={gates}")
    return asked


def _plan_training(plan: ConversionPlan, gates: List[int], new: List[int]) -> None:
    """List what is untrained, and let a fine-tuning teach it."""
    if plan.gate_head == "own" and plan.new_weights:
        plan.untrained.append(
            f"encoder.gate and encoder.blank_state: new, fitted to the dense model's "
            f"blanks at layer {gates[0]}"
        )
    elif plan.gate_head == "ctc" and new:
        layers = ", ".join(map(str, new))
        plan.untrained.append(
            f"gate at layer {layers}: never trained as an intermediate CTC, so what "
            "the CTC head reads there means little until fine-tuned"
        )
        model_conf = plan.config.get("model_conf") or {}
        if not model_conf.get("interctc_weight"):
            _change(plan, "model_conf.interctc_weight", WARM_START_INTERCTC)
    if plan.gate_head == "own":
        model_conf = plan.config.get("model_conf") or {}
        if not model_conf.get("kd_weight"):
            _change(plan, "model_conf.kd_weight", 1.0)
    if plan.refits_blank:
        plan.untrained.append(
            "row 0 of ctc.ctc_lo: refitted, so that the factorized head gives the "
            "blank probabilities of the plain one"
        )


def _change(plan: ConversionPlan, option: str, value: Any) -> None:
    """Set an option such as "encoder_conf.gate_layers" and note what it was."""
    section = plan.config
    *parents, key = option.split(".")
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    old = section.get(key)
    if old != value:
        plan.changes[option] = [old, value]
    section[key] = value
