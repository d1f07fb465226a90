"""Ways to run one checkpoint, side by side in one process."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Tuple

from espnet_blankskip.decoding.decode_config import read_decode_config, take_options
from espnet_blankskip.evaluation.asr_inference import BEAM_SIZE, AsrInference
from espnet_blankskip.evaluation.measure import Recognizer
from espnet_blankskip.evaluation.stock_twin import build_stock_twin
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.terminal import log, one_line

DENSE, SKIPPING, INTERMEDIATE = "dense", "skipping", "intermediate"
STOCK = "stock encoder"
ASR_INFERENCE = f"asr_inference, beam {BEAM_SIZE}"
PLAIN = "skipping, without fast"


def table_settings(
    config: Path, model_file: Path, inference_configs: Sequence[str]
) -> Tuple[BlankSkipSpeech2Text, Dict[str, Recognizer]]:
    """Load an experiment in every way that has a row in the table.

    Args:
        config, model_file: Of the experiment.
        inference_configs: Decode configurations that get a row each.

    Returns:
        Our recognizer, in mode dense, and the recognizers of the rows by name.
    """
    plain = BlankSkipSpeech2Text(config, model_file, mode=DENSE, fast=False)
    speech2text = BlankSkipSpeech2Text(config, model_file, mode=DENSE)
    rows: Dict[str, Recognizer] = {}
    twin = _stock_recognizer(plain)
    encoder = None if twin is None else twin.asr_model.encoder
    with _left_out(ASR_INFERENCE):
        rate = speech2text.sample_rate
        rows[ASR_INFERENCE] = AsrInference(config, model_file, rate, encoder)
    if twin is not None:
        rows[STOCK] = twin
    rows[DENSE] = recognizer_at(speech2text, GateOptions(mode=DENSE))
    if speech2text.can_skip:
        rows[PLAIN] = recognizer_at(plain, GateOptions(mode=SKIPPING))
        rows[SKIPPING] = recognizer_at(speech2text, GateOptions(mode=SKIPPING))
        # a gate of its own predicts blank, and no labels to stop at
        if speech2text.asr_model.encoder.gate_head == "ctc":
            rows[INTERMEDIATE] = recognizer_at(
                speech2text, GateOptions(mode=INTERMEDIATE)
            )
    for path in inference_configs:
        gate = take_options(read_decode_config(path))[0]
        gate = replace(gate, mode=gate.mode or SKIPPING)
        only_mode = set(gate.given()) == {"mode"}
        name = gate.mode if only_mode else f"{gate.mode} ({Path(path).stem})"
        rows[name] = recognizer_at(speech2text, gate)
    return speech2text, rows


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


def _stock_recognizer(
    speech2text: BlankSkipSpeech2Text,
) -> Optional[BlankSkipSpeech2Text]:
    if not speech2text.can_skip:
        return None
    train_args = speech2text.asr_train_args
    with _left_out(STOCK):
        twin = build_stock_twin(speech2text.asr_model, train_args)
        return BlankSkipSpeech2Text.from_model(twin, train_args, DENSE)
    return None


@contextmanager
def _left_out(row: str) -> Iterator[None]:
    """Say why a row is not in the table, and go on, if what is within fails."""
    try:
        yield
    except Exception as error:  # whatever ESPnet raises, the other rows stand
        log(f"Report: no {row} for the table: {one_line(error)}")
