"""Ways to run one checkpoint, side by side in one process."""

from pathlib import Path
from typing import Dict, Optional, Sequence

import yaml

from espnet_blankskip.evaluation.measure import Recognizer
from espnet_blankskip.evaluation.stock_twin import build_stock_twin
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.terminal import log

DENSE, SKIPPING, INTERMEDIATE = "dense", "skipping", "intermediate"
STOCK = "stock encoder"
GATE_OPTIONS = (
    "blank_threshold",
    "spike_extension",
    "gate_layers",
    "conv_context",
    "attn_context",
)


def table_settings(
    speech2text: BlankSkipSpeech2Text, inference_configs: Sequence[str]
) -> Dict[str, Recognizer]:
    """Return the recognizers of the table's rows by name, in its order."""
    rows: Dict[str, Recognizer] = {}
    twin = _stock_recognizer(speech2text)
    if twin is not None:
        rows[STOCK] = twin
    rows[DENSE] = setting(speech2text, DENSE)
    if speech2text.can_skip:
        rows[SKIPPING] = setting(speech2text, SKIPPING)
        # a gate of its own predicts blank, and no labels to stop at
        if speech2text.asr_model.encoder.gate_head == "ctc":
            rows[INTERMEDIATE] = setting(speech2text, INTERMEDIATE)
    for config in inference_configs:
        values = yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}
        mode = values.get("mode", SKIPPING)
        gate = {k: values[k] for k in GATE_OPTIONS if values.get(k) is not None}
        name = mode if not gate else f"{mode} ({Path(config).stem})"
        rows[name] = setting(speech2text, mode, **gate)
    return rows


def setting(speech2text: BlankSkipSpeech2Text, mode: str, **gate) -> Recognizer:
    """Make a recognizer out of a mode and gate options (others as trained)."""

    def recognize(samples):
        encoder = speech2text.asr_model.encoder
        trained = {name: getattr(encoder, name) for name in gate}
        speech2text.set_mode(mode)
        speech2text.set_gate(**gate)
        try:
            return speech2text(samples)
        finally:
            speech2text.set_gate(**trained)

    return recognize


def _stock_recognizer(speech2text: BlankSkipSpeech2Text) -> Optional[Recognizer]:
    if not speech2text.can_skip:
        return None
    try:
        twin = build_stock_twin(speech2text.asr_model, speech2text.asr_train_args)
    except (ValueError, TypeError, RuntimeError) as error:
        line = str(error).split("\n")[0]
        log(f"Report: no stock encoder for the table: {line}")
        return None
    train_args = speech2text.asr_train_args
    return BlankSkipSpeech2Text.from_model(twin, train_args, DENSE)
