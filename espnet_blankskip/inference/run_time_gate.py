"""How deep the frames of a loaded model run, chosen when it decodes."""

from typing import Optional, Sequence

from espnet_blankskip.encoders.encoded_frames import MODES


class RunTimeGate:
    """Mix-in for a recognizer: its mode and gate, over `self.asr_model`'s encoder."""

    @property
    def can_skip(self) -> bool:
        """Return whether the encoder has a gate."""
        return bool(getattr(self.asr_model.encoder, "gate_layers", None))

    def set_mode(self, mode: Optional[str]) -> None:
        """Choose how deep frames run.

        Args:
            mode: "skipping", "dense" (every frame runs through every layer) or
                "intermediate" (every frame stops at the first gate); None: skipping
                where the encoder has a gate, else dense.

        Raises:
            ValueError: Unknown mode, or one that this encoder does not have.
        """
        if mode is None:
            mode = "skipping" if self.can_skip else "dense"
        if mode not in MODES:
            raise ValueError(f"mode={mode} must be one of {', '.join(MODES)}")
        if mode != "dense" and not self.can_skip:
            name = type(self.asr_model.encoder).__name__
            raise ValueError(
                f"mode={mode} needs an encoder with gate_layers; {name} has none: "
                "use mode=dense"
            )
        self.mode = mode

    def set_gate(
        self,
        blank_threshold: Optional[float] = None,
        spike_extension: Optional[int] = None,
        gate_layers: Optional[Sequence[int]] = None,
        conv_context: Optional[str] = None,
        attn_context: Optional[str] = None,
    ) -> None:
        """Change the gate; None leaves a value as it is.

        Raises:
            ValueError: A value out of its range, or an encoder without a gate.
        """
        values = {
            name: value
            for name, value in (
                ("blank_threshold", blank_threshold),
                ("spike_extension", spike_extension),
                ("gate_layers", gate_layers),
                ("conv_context", conv_context),
                ("attn_context", attn_context),
            )
            if value is not None
        }
        if not values:
            return
        if not self.can_skip:
            layers = getattr(self.asr_model.encoder, "interctc_layer_idx", None)
            raise ValueError(
                f"{', '.join(values)}: this checkpoint's encoder has no gate"
                + (f" unless gate_layers names one of {list(layers)}" if layers else "")
            )
        self.asr_model.encoder.set_gate(**values)
