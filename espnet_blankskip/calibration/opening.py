"""Open any checkpoint so that its gates can be tried, without writing anything."""

import shlex
from dataclasses import dataclass
from typing import List

from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.zoo.archive import open_checkpoint
from espnet_blankskip.zoo.conversion_plan import with_gates
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.inspection import Inspection, look_inside
from espnet_blankskip.zoo.model_loading import build_model, check_loadable, fill_model
from espnet_blankskip.zoo.weights import read_weights


@dataclass(frozen=True)
class Candidate:
    """A checkpoint in memory, with every gate that it has to offer.

    Attributes:
        speech2text: recognizer with a skipping encoder.
        found: what ``blankskip inspect`` says.
        possible_gates: layers that can gate, with no training.
        converted: whether the checkpoint itself is a stock one, which only
            became a skipping one in memory.
    """

    speech2text: BlankSkipSpeech2Text
    found: Inspection
    possible_gates: List[int]
    converted: bool

    @property
    def needs_conversion(self) -> bool:
        """Whether it has to be converted to skip; OWSM-CTC gets its gates decoding."""
        return self.converted and not self.speech2text.takes_prompt

    @property
    def reads_labels_at_gate(self) -> bool:
        """Whether the gate layers have a CTC, and not only a gate of their own."""
        return self.speech2text.asr_model.encoder.gate_head == "ctc"


def open_candidate(source: str, **options) -> Candidate:
    """Open a checkpoint; a stock one with interCTC gets a skipping encoder.

    Args:
        source: as for ``open_checkpoint``.
        **options: of the recognizer, such as its ``search`` or OWSM-CTC's prompt.

    Raises:
        CheckpointError: it cannot be loaded, or has no gate to try.
    """
    checkpoint = open_checkpoint(source)
    state = read_weights(checkpoint.model_file)
    found = look_inside(checkpoint, state=state)
    if found.reasons:
        raise CheckpointError(f"{source}: cannot skip: {'; '.join(found.reasons)}")
    if not found.gates:
        half = max(1, found.layers // 2)
        raise CheckpointError(
            f"{source}: no layer has an intermediate CTC, so there is no gate to "
            f"calibrate (blankskip convert {shlex.quote(source)} DST --gate-layers "
            f"{half} makes one)"
        )
    check_loadable(checkpoint, found)
    config, converted = checkpoint.config, not found.gate_layers
    if converted:
        config = with_gates(checkpoint, found, found.gates)
    model, train_args = build_model(config, source)
    fill_model(model, state, source)
    speech2text = BlankSkipSpeech2Text.from_model(
        model, train_args, fast=True, **options
    )
    return Candidate(speech2text, found, model.encoder.possible_gates, converted)
