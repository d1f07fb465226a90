"""Ways to run one checkpoint, side by side in one process."""

from dataclasses import replace
from pathlib import Path
from typing import Dict, Optional, Sequence

from espnet_blankskip.decoding.decode_config import read_decode_config, take_options
from espnet_blankskip.evaluation.measure import Recognizer
from espnet_blankskip.evaluation.stock_twin import build_stock_twin
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.terminal import log

DENSE, SKIPPING, INTERMEDIATE = "dense", "skipping", "intermediate"
STOCK = "stock encoder"


def table_settings(
    speech2text: BlankSkipSpeech2Text, inference_configs: Sequence[str]
) -> Dict[str, Recognizer]:
    """Return the recognizers of the table's rows by name, in its order."""
    rows: Dict[str, Recognizer] = {}
    twin = _stock_recognizer(speech2text)
    if twin is not None:
        rows[STOCK] = twin
    rows[DENSE] = recognizer_at(speech2text, GateOptions(mode=DENSE))
    if speech2text.can_skip:
        rows[SKIPPING] = recognizer_at(speech2text, GateOptions(mode=SKIPPING))
        # a gate of its own predicts blank, and no labels to stop at
        if speech2text.asr_model.encoder.gate_head == "ctc":
            rows[INTERMEDIATE] = recognizer_at(
                speech2text, GateOptions(mode=INTERMEDIATE)
            )
    for config in inference_configs:
        gate = take_options(read_decode_config(config))[0]
        gate = replace(gate, mode=gate.mode or SKIPPING)
        plain = set(gate.given()) == {"mode"}
        name = gate.mode if plain else f"{gate.mode} ({Path(config).stem})"
        rows[name] = recognizer_at(speech2text, gate)
    return rows


def recognizer_at(speech2text: BlankSkipSpeech2Text, gate: GateOptions) -> Recognizer:
    """Make a recognizer that runs frames as deep as the options say.

    Args:
        speech2text: what it recognizes with, and leaves as it was.
        gate: the mode and the gates; what is None is as trained.
    """

    def recognize(samples):
        before = speech2text.gate_options
        speech2text.set_gate(gate)
        try:
            return speech2text(samples)
        finally:
            speech2text.set_gate(before)

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
