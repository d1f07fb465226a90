"""The words of a conversion: its README, and what the command prints."""

from typing import Any, Dict, List

from espnet_blankskip.gate_options import layers_in_words


def conversion_card(report: Dict[str, Any], target: str) -> str:
    """README.md of a converted experiment."""
    gates = layers_in_words(report["gate_layers"])
    lines = [
        f"# {target}",
        "",
        f"Converted from `{report['source']}` by espnet_blankskip {report['plugin']} "
        f"(`blankskip convert --gate-layers {gates}`).",
        "",
        *summary_lines(report),
        "",
        "Load it with any ESPnet command through the plugin:",
        "",
        "```sh",
        "python -m espnet_blankskip -m espnet2.bin.asr_inference \\",
        f"    --asr_train_config {target}/config.yaml ...",
        "```",
        "",
        "Fine-tune it by giving its weights to `--init_param`, with the encoder_conf "
        "and model_conf of its config.yaml (ready configs: "
        "`conf/tuning/train_asr_*_finetune_{gate,all}.yaml`).",
        "",
    ]
    return "\n".join(lines)


def summary_lines(report: Dict[str, Any]) -> List[str]:
    """What was changed, what is new, and how far the posteriors moved."""
    sound = report["sound"]
    lines = [
        f"- gate layers {report['gate_layers']}, gate_head {report['gate_head']}, "
        f"{report['ctc_head']} CTC head",
    ]
    lines += [
        f"- {option}: {_shown(old)} -> {_shown(new)}"
        for option, (old, new) in report["changes"].items()
    ]
    for name in report["new_weights"]:
        lines.append(f"- new weight: {name}")
    for words in report["untrained"]:
        lines.append(f"- to be trained: {words}")
    if not report["untrained"]:
        lines.append("- nothing is new or untrained")
    held_out = "held out from the fit" if sound["held_out"] else "the fitted one"
    lines.append(
        f"- measured on {sound['name']}, {sound['report_utterances']} utterances "
        f"({held_out}), at blank_threshold {report['blank_threshold']}:"
    )
    for name, moved in report["posteriors"].items():
        lines.append(
            f"  - {name}: mean KL {moved['mean_kl']:.2g} nats, same best symbol "
            f"{100 * moved['argmax_agreement']:.2f} %, same blank decision "
            f"{100 * moved['blank_decision_agreement']:.2f} % "
            f"({moved['frames']} frames)"
        )
    skipping = report["skipping"]
    lines.append(
        f"  - skipping keeps {100 * skipping['kept_ratio']:.1f} % of the frames; same "
        f"best symbol as its dense pass {100 * skipping['argmax_agreement']:.2f} %"
    )
    if sound["name"] == "synthetic sound" and report["new_weights"]:
        lines.append(
            "- the fit heard synthetic sound, not speech: give --fit-audio wav.scp, or "
            "fine-tune before use"
        )
    lines += [f"- not used: {reason}" for reason in sound["failed"]]
    return lines


def _shown(value: Any) -> str:
    return "(default)" if value is None else str(value)
