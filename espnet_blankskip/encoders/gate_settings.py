"""The gate's options, checked, and what may be changed of them at run time."""

from typing import List, Optional, Sequence, Union

import torch

from espnet_blankskip.encoders.options import (
    ATTN_CONTEXTS,
    CONV_CONTEXTS,
    GATE_HEADS,
    check_can_skip,
    check_choice,
    check_espnet_options,
    check_plugin_version,
    check_train_skip,
    checked_gate_layers,
)
from espnet_blankskip.encoders.training_progress import TrainingProgress
from espnet_blankskip.gate import BlankGate, check_gate_options


class GateSettings(TrainingProgress):
    """Options of an encoder with gates, and when it skips in training.

    Args:
        *args, **kwargs: options of the ESPnet encoder.
        gate_layers: layers after which blank frames leave, 1-based and below
            ``num_blocks``; an empty list never skips.
        gate_head: what reads the gate: the model's "ctc" head on normalized states,
            as interCTC does; or a head of its "own", for encoders whose gate layers
            were not trained with interCTC. Frames skipped by an own head come out as
            one learned blank state, since their layer's states mean nothing to the
            CTC head.
        blank_threshold: a frame leaves when its blank probability reaches this;
            at least 0.5, above 1 nothing is skipped.
        spike_extension: frames kept on both sides of a spike.
        conv_context: what the convolution of later layers sees at a skipped frame:
            its last state ("stale"), nothing ("zero"), or the next kept frame
            ("packed", only for models trained that way).
        attn_context: whether skipped frames are still attended to, at their last
            state ("all"), or not ("kept").
        train_skip: skip in training: True, False, or the probability per batch, drawn
            alike in all processes of a distributed training.
        skip_warmup_steps: training batches before skipping starts, counted by
            ``training_steps``. Until then, and with ``train_skip=False``, validation
            (of ``model: blankskip``) does not skip either.
        requires_plugin: version of this package that the checkpoint needs at least;
            written by ``blankskip pack``.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    ctc_trim = False  # for encoders without that option

    def __init__(
        self,
        *args,
        gate_layers: Sequence[int] = (),
        gate_head: str = "ctc",
        blank_threshold: float = 0.95,
        spike_extension: int = 1,
        conv_context: str = "stale",
        attn_context: str = "kept",
        train_skip: Union[bool, float] = True,
        skip_warmup_steps: int = 0,
        requires_plugin: Optional[str] = None,
        **kwargs,
    ):
        check_espnet_options(kwargs, super().__init__)
        super().__init__(*args, **kwargs)
        self.num_blocks = len(self.encoders)
        self.gate_layers = checked_gate_layers(gate_layers, self.num_blocks)
        self._built_gate_layers = list(self.gate_layers)
        self.set_gate(blank_threshold, spike_extension)
        check_choice("gate_head", gate_head, GATE_HEADS)
        check_choice("conv_context", conv_context, CONV_CONTEXTS)
        check_choice("attn_context", attn_context, ATTN_CONTEXTS)
        check_train_skip(train_skip, skip_warmup_steps)
        check_plugin_version(requires_plugin)
        self.gate_head = gate_head
        self.conv_context = conv_context
        self.attn_context = attn_context
        self.train_skip = float(train_skip)
        self.skip_warmup_steps = int(skip_warmup_steps)
        self._begin_to_count()
        if self.gate_layers:
            self._check_can_skip()
            # ESPnetASRModel.encode hands its CTC to encoders that declare ctc_trim;
            # a gate needs the CTC for the same reason.
            self.ctc_trim = True
        if self.gate_layers and gate_head == "own":
            if len(self.gate_layers) > 1:
                raise ValueError(
                    f"gate_head=own takes one gate, not gate_layers={self.gate_layers}"
                )
            self.gate = BlankGate(self.output_size())
            self.blank_state = torch.nn.Parameter(torch.zeros(self.output_size()))

    def train(self, mode: bool = True):
        """Set training mode, in which wholly frozen layers stay as they are.

        ``freeze_param`` alone would let a frozen layer's batch statistics drift, and
        its dropout disturb the teacher.
        """
        super().train(mode)
        for part in (self.embed, *self.encoders):
            parameters = [] if part is None else list(part.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                part.eval()
        return self

    def set_gate(
        self,
        blank_threshold: Optional[float] = None,
        spike_extension: Optional[int] = None,
        gate_layers: Optional[Sequence[int]] = None,
        conv_context: Optional[str] = None,
        attn_context: Optional[str] = None,
    ) -> None:
        """Change the gate at run time; None leaves an option as it is.

        Args:
            blank_threshold, spike_extension, conv_context, attn_context: as for the
                class.
            gate_layers: some of ``possible_gates``.

        Raises:
            ValueError: naming the option and its allowed range.
        """
        threshold = self.blank_threshold if blank_threshold is None else blank_threshold
        extension = self.spike_extension if spike_extension is None else spike_extension
        check_gate_options(threshold, extension)
        if conv_context is not None:
            check_choice("conv_context", conv_context, CONV_CONTEXTS)
        if attn_context is not None:
            check_choice("attn_context", attn_context, ATTN_CONTEXTS)
        if gate_layers is not None:
            self.gate_layers = self._chosen_gates(gate_layers)
        # every check lies behind, so that an error leaves the gate as it was
        if conv_context is not None:
            self.conv_context = conv_context
        if attn_context is not None:
            self.attn_context = attn_context
        self.blank_threshold = float(threshold)
        self.spike_extension = int(extension)

    @property
    def possible_gates(self) -> List[int]:
        """Layers that may gate at run time: those whose blanks a head can read.

        The ``gate_layers`` the encoder was built with and, where the CTC head reads
        the gate, its interCTC layers; none if it was built without a gate.
        """
        built = set(self._built_gate_layers)
        if built and self.gate_head == "ctc":
            built |= {n for n in self.interctc_layer_idx if n < self.num_blocks}
        return sorted(built)

    def _chosen_gates(self, gate_layers: Sequence[int]) -> List[int]:
        gates = checked_gate_layers(gate_layers, self.num_blocks)
        possible = self.possible_gates
        if not gates or not set(gates) <= set(possible):
            raise ValueError(
                f"gate_layers={gates} must be chosen from "
                f"{possible or 'none: this encoder was built without a gate'}"
                + (", the layers with an intermediate CTC" if possible else "")
            )
        return gates

    def _check_can_skip(self) -> None:
        """Refuse stock options whose meaning depends on unbroken time."""
        check_can_skip(
            self.self_attention(self.encoders[0]),
            self.encoders[0].feed_forward,
            self.ctc_trim,
        )
