"""How deep the frames of a loaded model run, chosen when it decodes."""

from dataclasses import replace
from typing import Optional

from espnet_blankskip.gate_options import GateOptions


class RunTimeGate:
    """Mix-in for a recognizer: its mode and gates, over `self.asr_model`'s encoder."""

    @property
    def can_skip(self) -> bool:
        """Return whether the encoder has a gate."""
        return bool(getattr(self.asr_model.encoder, "gate_layers", None))

    @property
    def gate_options(self) -> GateOptions:
        """How deep frames run now."""
        encoder = self.asr_model.encoder
        gate = encoder.gate_options if self.can_skip else GateOptions()
        return replace(gate, mode=self.mode)

    def set_mode(self, mode: Optional[str]) -> None:
        """Choose how deep frames run.

        Args:
            mode: As in `GateOptions`.

        Raises:
            ValueError: Unknown mode, or one that this encoder does not have.
        """
        mode = GateOptions(mode=mode).mode
        if mode is None:
            mode = "skipping" if self.can_skip else "dense"
        if mode != "dense" and not self.can_skip:
            name = type(self.asr_model.encoder).__name__
            raise ValueError(
                f"mode={mode} needs an encoder with gate_layers; {name} has none: "
                "use mode=dense"
            )
        self.mode = mode

    def set_gate(self, options: Optional[GateOptions] = None, **changes) -> None:
        """Change the mode and the gates; what is None stays as it is.

        Args:
            options: What to change.
            **changes: Options by name, over those.

        Raises:
            ValueError: A value out of its range, or an encoder without a gate.
        """
        options = replace(options or GateOptions(), **changes)
        gate = replace(options, mode=None)
        if gate.given() and not self.can_skip:
            layers = getattr(self.asr_model.encoder, "interctc_layer_idx", None)
            raise ValueError(
                f"{', '.join(gate.given())}: this checkpoint's encoder has no gate"
                + (f" unless gate_layers names one of {list(layers)}" if layers else "")
            )
        if gate.given():
            self.asr_model.encoder.set_gate(gate)
        if options.mode is not None:
            self.set_mode(options.mode)
