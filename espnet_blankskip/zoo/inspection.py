"""``blankskip inspect``: what a checkpoint is and what can be skipped in it."""

import shlex
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch

from espnet_blankskip.checkpoint.normalization import OPTION as STATISTICS
from espnet_blankskip.checkpoint.normalization import has_statistics
from espnet_blankskip.checkpoint.s2t_ctc_building import is_s2t_ctc
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.zoo import support
from espnet_blankskip.zoo.archive import Checkpoint, open_checkpoint, supply_statistics
from espnet_blankskip.zoo.cost import UTTERANCE_FRAMES, encoder_cost, speed_ups
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.weights import (
    count_layers,
    count_parameters,
    head_shape,
    read_weights,
)

SKIP_NOW = "skip at once"
TRAIN_GATE = "needs a gate layer trained"
DENSE_ONLY = "dense only"
KEPT_RATIOS = (0.2, 0.3, 0.5)
#: What an untrained checkpoint loses is words; these win most of them back.
_WITHOUT_TRAINING = "--attn-context all --spike-extension 2"


@dataclass
class Inspection:
    """What was found; the keys of ``blankskip inspect --json``.

    Attributes:
        verdict: SKIP_NOW, TRAIN_GATE or DENSE_ONLY.
        reasons: what stands in the way of skipping, where the verdict is DENSE_ONLY.
        problems: what would stop this checkpoint from loading here.
        gates: layers at which a trained intermediate CTC can gate now.
        trainable_gates: layers at which a gate could be trained.
        untrained: whether it has never been trained with skipping, as far as its files
            tell.
        speed_up: estimates of ``cost.speed_ups``.
        window_seconds: length that OWSM-CTC pads every utterance to; None for models
            that take no prompt.
    """

    source: str
    kind: str
    task: str
    model_file: str
    espnet: Optional[str]
    model: str
    encoder: str
    layers: int
    width: Optional[int]
    input_layer: Optional[str]
    interctc_layers: List[int]
    self_conditioning: bool
    gate_layers: List[int]
    vocabulary: Optional[int]
    token_type: Optional[str]
    ctc_head: Optional[str]
    decoder: Optional[str]
    parameters: Dict[str, int]
    verdict: str
    gates: List[int]
    trainable_gates: List[int]
    untrained: bool
    reasons: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    speed_up: List[Dict[str, float]] = field(default_factory=list)
    window_seconds: Optional[float] = None

    def to_dict(self) -> Dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def inspect_checkpoint(
    source: str, kept_ratios: Sequence[float] = KEPT_RATIOS
) -> Inspection:
    """Look inside a checkpoint without building its model.

    Args:
        source: as for ``open_checkpoint``.
        kept_ratios: shares of kept frames to estimate the speed-up for, in (0, 1].

    Raises:
        CheckpointError: it cannot be opened or trusted.
        ValueError: a kept ratio out of its range.
    """
    for kept in kept_ratios:
        if not 0.0 < kept <= 1.0:
            raise ValueError(f"--kept {kept} must be above 0 and at most 1")
    return look_inside(open_checkpoint(source), kept_ratios)


def look_inside(
    checkpoint: Checkpoint,
    kept_ratios: Sequence[float] = KEPT_RATIOS,
    state: Optional[Dict[str, torch.Tensor]] = None,
) -> Inspection:
    """As ``inspect_checkpoint``, for a checkpoint that is already open.

    Statistics of features whose file is gone are given to it from its weights.

    Args:
        state: its weights, where they are already read.
    """
    config = checkpoint.config
    if state is None:
        state = read_weights(checkpoint.model_file)
    if STATISTICS in checkpoint.missing and has_statistics(state):
        supply_statistics(checkpoint, state)
    options = support.encoder_options(config)
    model_conf = config.get("model_conf") or {}
    reasons = support.obstacles(checkpoint, state)
    interctc = _numbers(options.get("interctc_layer_idx"))
    configured = list(GateOptions(options.get("gate_layers")).gate_layers or ())
    layers = count_layers(state)
    head = head_shape(state)

    gates = [] if reasons else sorted(set(configured) | set(interctc))
    trainable = [] if reasons else [n for n in range(1, layers) if n not in gates]
    verdict = DENSE_ONLY if reasons else SKIP_NOW if gates else TRAIN_GATE
    factorized = bool(model_conf.get("factorized_ctc"))
    tokens = support.token_list(config)
    found = Inspection(
        source=checkpoint.source,
        kind=checkpoint.kind,
        task=checkpoint.task,
        model_file=checkpoint.model_file.name,
        # meta.yaml has the version that packed it
        espnet=_text(config.get("version") or checkpoint.meta.get("espnet")),
        model=str(config.get("model", "espnet")),
        encoder=str(config.get("encoder")),
        layers=layers,
        width=options.get("output_size"),
        input_layer=options.get("input_layer"),
        interctc_layers=interctc,
        self_conditioning=bool(options.get("interctc_use_conditioning")),
        gate_layers=configured,
        vocabulary=len(tokens) if tokens is not None else None,
        token_type=config.get("token_type"),
        ctc_head=None if head is None else "factorized" if factorized else "plain",
        decoder=config.get("decoder"),
        parameters=count_parameters(state),
        verdict=verdict,
        gates=gates,
        trainable_gates=trainable,
        untrained=not configured or checkpoint.was_only_converted,
        reasons=reasons,
        problems=_problems(checkpoint, state),
    )
    if is_s2t_ctc(config):
        conf = config.get("preprocessor_conf") or {}
        found.window_seconds = float(conf.get("speech_length", 30))
    if not reasons and layers > 1:
        cost = encoder_cost(state, str(found.input_layer))
        conditioned = interctc if found.self_conditioning else ()
        found.speed_up = speed_ups(
            cost,
            gates or sorted({max(1, layers // 3), max(1, layers // 2)}),
            kept_ratios,
            factorized,
            conditioned,
        )
    return found


def _problems(checkpoint: Checkpoint, state) -> List[str]:
    found = support.contradictions(checkpoint, state)
    unknown = support.unknown_options(checkpoint.config)
    if unknown:
        found.append(f"options unknown to the ESPnet installed: {', '.join(unknown)}")
    found += [
        f"{option}={path}: no such file" for option, path in checkpoint.missing.items()
    ]
    try:
        support.check_self_contained(checkpoint)
    except CheckpointError as error:
        found.append(str(error).split(": ", 1)[-1])
    return found


def _numbers(value: Any) -> List[int]:
    values = [value] if isinstance(value, int) else value or []
    return [int(n) for n in values]


def _text(value: Any) -> Optional[str]:
    return None if value is None else str(value)


def describe(found: Inspection) -> str:
    """The inspection as lines for a terminal."""
    rows = [
        ("checkpoint", f"{found.source} ({found.kind}, {found.model_file})"),
        ("made with", f"ESPnet {found.espnet or 'unknown'}, model {found.model}"),
        (
            "encoder",
            f"{found.encoder}, {found.layers} layers x {found.width}, "
            f"input {found.input_layer}",
        ),
        ("interCTC layers", _listed(found.interctc_layers)),
        ("self-conditioning", "yes" if found.self_conditioning else "no"),
        *_prompt_row(found),
        ("gate layers", _listed(found.gate_layers)),
        ("vocabulary", f"{found.vocabulary} tokens ({found.token_type})"),
        ("CTC head", found.ctc_head or "none"),
        ("decoder", found.decoder or "none"),
        ("parameters", _counted(found.parameters)),
        ("can do", found.verdict + _advice(found)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {text}" for name, text in rows]
    lines += [f"{'because':{width}}  {reason}" for reason in found.reasons]
    lines += [f"{'problem':{width}}  {problem}" for problem in found.problems]
    if found.speed_up:
        frames = UTTERANCE_FRAMES
        lines += ["", f"Estimated speed-up of encoder and head ({frames} frames):"]
        lines += _speed_table(found.speed_up)
        lines.append(
            "An estimate from counted arithmetic, not a measurement. What skipping "
            "costs in accuracy depends on the checkpoint: measure it on your data."
        )
    return "\n".join(lines)


def _prompt_row(found: Inspection) -> List[Tuple[str, str]]:
    if found.window_seconds is None:
        return []
    about = f"language and task; hears windows of {found.window_seconds:g} s"
    return [("prompt", about)]


def _advice(found: Inspection) -> str:
    source = shlex.quote(found.source)
    if found.verdict == SKIP_NOW and found.gate_layers:
        gates = f" (gates {_listed(found.gate_layers)} are in its config"
        if not found.untrained:
            return gates + ")"
        return (
            f"{gates}, and it was not trained with skipping: decode with "
            f"{_WITHOUT_TRAINING}, or let blankskip calibrate choose)"
        )
    if found.verdict == SKIP_NOW and found.window_seconds is not None:
        return (
            f" with a gate at {_listed(found.gates)}: blankskip transcribe "
            f"--gate-layers {found.gates[0]} {_WITHOUT_TRAINING}; calibrate says what "
            "that costs"
        )
    if found.verdict == SKIP_NOW:
        return (
            f" with a gate at {_listed(found.gates)}, no training needed to try: "
            f"blankskip convert {source} DST --gate-layers {found.gates[0]} "
            f"{_WITHOUT_TRAINING}; blankskip calibrate measures what it costs"
        )
    if found.verdict == TRAIN_GATE:
        half = max(1, found.layers // 2)
        return (
            f": no layer has an intermediate CTC; blankskip convert {source} DST "
            f"--gate-layers {half} writes a warm start for fine-tuning"
        )
    return " (no frame can skip a layer)"


def _speed_table(speed_up: List[Dict[str, float]]) -> List[str]:
    ratios = sorted({row["kept"] for row in speed_up})
    lines = ["  gate layer" + "".join(f"  kept {100 * r:3.0f}%" for r in ratios)]
    for gate in sorted({row["gate_layer"] for row in speed_up}):
        cells = {r["kept"]: r["speed_up"] for r in speed_up if r["gate_layer"] == gate}
        text = "".join(f"  {cells[r]:8.2f}x" for r in ratios)
        lines.append(f"  {gate:10d}{text}")
    return lines


def _counted(parameters: Dict[str, int]) -> str:
    parts = ", ".join(f"{k} {v:,}" for k, v in parameters.items() if k != "total")
    return f"{parameters['total']:,} ({parts})"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
