"""``blankskip convert``: write a checkpoint again as a blankskip one.

The body keeps its weights. What is new is fitted to what the model already believes,
on sound, and a report says how far its posteriors moved. Nothing stays random.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

import torch
import yaml
from tqdm import tqdm

from espnet_blankskip.checkpoint.s2t_ctc_building import is_s2t_ctc
from espnet_blankskip.decoding.time_stamps import shortest_input
from espnet_blankskip.kaldi.json_file import write_json
from espnet_blankskip.locks import locked
from espnet_blankskip.temporary import vanishing
from espnet_blankskip.version import __version__
from espnet_blankskip.zoo.archive import Checkpoint, open_checkpoint
from espnet_blankskip.zoo.assets import set_asset
from espnet_blankskip.zoo.comparison import (
    compare,
    dense_states,
    read_posteriors,
    skipping_report,
)
from espnet_blankskip.zoo.conversion_card import conversion_card
from espnet_blankskip.zoo.conversion_plan import (
    ConversionOptions,
    ConversionPlan,
    plan_conversion,
)
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.fit_sound import FitSound, read_sound
from espnet_blankskip.zoo.head_fit import blank_log_odds, fit_blank_row
from espnet_blankskip.zoo.inspection import look_inside
from espnet_blankskip.zoo.model_loading import (
    build_model,
    check_loadable,
    fill_model,
    load_checkpoint,
)
from espnet_blankskip.zoo.weights import HEAD, read_weights, write_weights
from espnet_blankskip.zoo.weights_file import plain_name

HEAD_BIAS = "ctc.ctc_lo.bias"
_SAME = 1e-3  # largest difference of log-probabilities that rounding explains


def convert_checkpoint(
    source: str, target: str, options: ConversionOptions
) -> Dict[str, Any]:
    """Convert a checkpoint into an experiment folder.

    Args:
        source: as for ``open_checkpoint``.
        target: the new folder; must not exist, or be empty.
        options: what to convert to.

    Returns:
        The report, which is also written to ``target/conversion.json``.

    Raises:
        CheckpointError: the source cannot be loaded or cannot skip, an option does
            not fit it, or the result is not the same model. ``target`` is then left
            as it was.
        OSError: it cannot be written; ``target`` is then left as it was.
    """
    with locked(Path(target), "blankskip convert"):
        return _convert(source, target, options)


def _convert(source: str, target: str, options: ConversionOptions) -> Dict[str, Any]:
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{target}: exists already; give a new folder")
    checkpoint = open_checkpoint(source)
    state = read_weights(checkpoint.model_file)
    found = look_inside(checkpoint, state=state)
    if is_s2t_ctc(checkpoint.config):
        raise CheckpointError(
            f"{source}: OWSM-CTC is not converted: it skips when it decodes, by "
            "transcribe --gate-layers"
        )
    plan = plan_conversion(checkpoint, found, options)
    check_loadable(checkpoint, found)

    model, train_args = _build_unconverted(plan, state, source)
    sound = read_sound(options.fit_audio, _sample_rate(train_args))
    _check_long_enough(sound, shortest_input(model), options)
    trained = {n for n in found.interctc_layers + found.gate_layers}
    new_state, fits = _fit(model, plan, state, sound, trained)

    with vanishing(folder.with_name(folder.name + ".part")) as part:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write_experiment(part, target, checkpoint, plan, new_state)
        converted = load_checkpoint(str(part))[0]
        report = {
            "plugin": __version__,
            "source": source,
            "encoder": plan.config["encoder"],
            "gate_layers": plan.config["encoder_conf"]["gate_layers"],
            "gate_head": plan.gate_head,
            "ctc_head": "factorized" if _is_factorized(plan) else "plain",
            "changes": plan.changes,
            "new_weights": plan.new_weights + (["ctc.ctc_lo[0]"] * plan.refits_blank),
            "untrained": plan.untrained,
            "sound": _describe(sound),
            "fits": fits,
            **_measure(model, converted, checkpoint, state, sound),
        }
        write_json(part / "conversion.json", report)
        (part / "README.md").write_text(
            conversion_card(report, target), encoding="utf-8"
        )
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    return report


def _is_factorized(plan: ConversionPlan) -> bool:
    """Whether the converted model reads its head in the factorized way."""
    return bool(plan.config["model_conf"].get("factorized_ctc"))


def _build_unconverted(plan: ConversionPlan, state, source: str):
    """The new model with the source's weights and its reading of the head."""
    config = dict(plan.config)
    if plan.refits_blank:
        config["model_conf"] = dict(config["model_conf"], factorized_ctc=False)
    model, train_args = build_model(config, source)
    fill_model(model, state, source, new=plan.new_weights)
    return model.eval(), train_args


def _sample_rate(train_args) -> int:
    from espnet_blankskip.checkpoint.model_checks import model_sample_rate

    return model_sample_rate(train_args)


def _check_long_enough(sound: FitSound, samples: int, options) -> None:
    for part in (sound.fit, sound.held_out):
        part[:] = [u for u in part if len(u) >= samples]
        if not part:
            raise CheckpointError(
                f"--fit-audio {options.fit_audio}: every utterance is shorter than "
                f"one encoder frame ({samples} samples)"
            )


@torch.no_grad()
def _collect(model, plan: ConversionPlan, utterances, trained):
    """Run the model densely and gather what the fits need.

    Returns:
        states that the CTC head reads (N, D) and their blank log-odds (N,); raw
        states at the gate (M, D) and the final layer's blank log-odds there (M,);
        the surest blank's state (D,).
    """
    head_states, head_odds, gate_states, final_odds = [], [], [], []
    seen: List[torch.Tensor] = []
    encoder = model.encoder
    hook = None
    if plan.gate_head == "own":
        hook = encoder.gate.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    surest = (-float("inf"), None)
    threshold = encoder.blank_threshold
    encoder.set_gate(blank_threshold=2.0)  # the gate is read and nobody leaves
    try:
        for samples in tqdm(
            utterances, desc="reading posteriors", unit="utt", disable=None
        ):
            final, intermediate = dense_states(model, samples)
            odds = blank_log_odds(model.ctc.log_softmax(final)[0])
            best = int(odds.argmax())
            if float(odds[best]) > surest[0]:
                surest = (float(odds[best]), final[0, best])
            head_states.append(final[0])
            head_odds.append(odds)
            for layer, states in intermediate:
                if layer in trained:
                    head_states.append(states[0])
                    head_odds.append(blank_log_odds(model.ctc.log_softmax(states)[0]))
            if hook is not None:
                model.encode_frames(
                    torch.from_numpy(samples)[None], torch.tensor([len(samples)])
                )
                gate_states.append(seen.pop()[0])
                final_odds.append(odds)
    finally:
        encoder.set_gate(blank_threshold=threshold)
        if hook is not None:
            hook.remove()
    gate = (torch.cat(gate_states), torch.cat(final_odds)) if gate_states else None
    return torch.cat(head_states), torch.cat(head_odds), gate, surest


def _fit(
    model, plan: ConversionPlan, state, sound: FitSound, trained
) -> Tuple[Dict[str, torch.Tensor], Dict[str, Any]]:
    """Fit what is new.

    Returns:
        The new state dict, and a short account of the fits.
    """
    new_state, fits = dict(state), {}
    if not plan.refits_blank and not plan.new_weights:
        return new_state, fits
    states, odds, gate, surest = _collect(model, plan, sound.fit, trained)
    dtype = state[HEAD].dtype
    if plan.refits_blank:
        weight, bias = fit_blank_row(states, odds)
        for name, value in ((HEAD, weight), (HEAD_BIAS, bias)):
            new_state[name] = state[name].clone()
            new_state[name][0] = value.to(dtype)
        fits["ctc.ctc_lo[0]"] = {"frames": len(odds)}
    if gate is not None and plan.new_weights:
        raw, target = gate
        normed = torch.nn.functional.layer_norm(raw, raw.shape[-1:])
        weight, bias = fit_blank_row(normed, target)
        share = float((target > 0).double().mean())
        if surest[0] <= 0:
            raise CheckpointError(
                f"{sound.name}: the model calls no frame blank, so a gate of its own "
                "has nothing to learn from: give speech with --fit-audio"
            )
        new_state.update(
            {
                "encoder.gate.norm.weight": torch.ones_like(raw[0]),
                "encoder.gate.norm.bias": torch.zeros_like(raw[0]),
                "encoder.gate.linear.weight": weight.to(dtype)[None],
                "encoder.gate.linear.bias": bias.to(dtype)[None],
                "encoder.blank_state": surest[1].to(dtype).clone(),
            }
        )
        fits["encoder.gate"] = {"frames": len(target), "blank_share": share}
    return new_state, fits


def _write_experiment(
    part: Path, target: str, checkpoint: Checkpoint, plan: ConversionPlan, state
) -> None:
    """Write config, weights and assets; paths are as seen from the current folder."""
    config = plan.config
    for option, path in checkpoint.assets.items():
        if option != "token_list":  # written into the config
            shutil.copyfile(path, part / path.name)
            set_asset(config, option, os.path.join(target, path.name))
    config["output_dir"] = target
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
    (part / "config.yaml").write_text(text, encoding="utf-8")
    write_weights(state, part / plain_name(checkpoint.model_file))


def _measure(model, converted, checkpoint, state, sound: FitSound) -> Dict[str, Any]:
    """How far the converted model is from the source, on held-out sound.

    Raises:
        CheckpointError: the body computes something else than ESPnet's own encoder.
    """
    stock = build_model(dict(checkpoint.config), checkpoint.source)[0].eval()
    fill_model(stock, state, checkpoint.source)
    first = sound.held_out[0]
    theirs, ours = (read_posteriors(m, first)["final"] for m in (stock, model))
    difference = float((theirs - ours).abs().max())
    if difference > _SAME:
        raise CheckpointError(
            f"{checkpoint.source}: the converted encoder's log-probabilities differ "
            f"from the source's by {difference:.2g}: not converted"
        )
    encoder = converted.encoder
    bar = tqdm(sound.held_out, desc="comparing posteriors", unit="utt", disable=None)
    moved = compare(
        lambda samples: read_posteriors(model, samples),
        lambda samples: read_posteriors(converted, samples),
        bar,
        encoder.blank_threshold,
    )
    return {
        "blank_threshold": encoder.blank_threshold,
        "spike_extension": encoder.spike_extension,
        "body_difference": difference,
        "posteriors": moved,
        "skipping": skipping_report(converted, sound.held_out),
    }


def _describe(sound: FitSound) -> Dict[str, Any]:
    return {
        "name": sound.name,
        "fit_utterances": len(sound.fit),
        "report_utterances": len(sound.held_out),
        "held_out": sound.held_out is not sound.fit,
        "failed": sound.failed,
    }
