"""An encoder with gates: its options, and what may be changed of them at run time."""

from dataclasses import replace
from typing import List, Optional, Sequence, Union

import torch

from espnet_blankskip.encoders.depthwise_subsampling import (
    DEPTHWISE,
    checked_channels,
    make_depthwise,
    stock_input_layer,
)
from espnet_blankskip.encoders.options import (
    GATE_HEADS,
    check_can_skip,
    check_espnet_options,
    check_gates_exist,
    check_plugin_version,
    checked_train_skip,
    checked_warmup_steps,
)
from espnet_blankskip.encoders.training_progress import TrainingProgress
from espnet_blankskip.gate import BlankGate
from espnet_blankskip.gate_options import DEFAULTS, GateOptions, Layers, check_choice


class GatedEncoder(TrainingProgress):
    """Options of an encoder with gates, and when it skips in training.

    Args:
        *args, **kwargs: options of the ESPnet encoder. ``input_layer`` may also be
            ``dw_conv2d`` or ``dw_conv2d8``: ESPnet's conv2d (by 4) and conv2d8 by
            depthwise-separable convolutions.
        subsampling_channels: channels between the convolutions of these two; as many
            as ``output_size`` by default, but no more than 256.
        gate_layers, blank_threshold, spike_extension, conv_context, attn_context: see
            `GateOptions`; the layers are below
            ``num_blocks``.
        gate_head: what reads the gate: the model's "ctc" head on normalized states,
            as interCTC does; or a head of its "own", for encoders whose gate layers
            were not trained with interCTC. Frames skipped by an own head come out as
            one learned blank state, since their layer's states mean nothing to the
            CTC head.
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
        gate_layers: Layers = DEFAULTS.gate_layers,
        gate_head: str = "ctc",
        blank_threshold: float = DEFAULTS.blank_threshold,
        spike_extension: int = DEFAULTS.spike_extension,
        conv_context: str = DEFAULTS.conv_context,
        attn_context: str = DEFAULTS.attn_context,
        train_skip: Union[bool, float] = True,
        skip_warmup_steps: int = 0,
        requires_plugin: Optional[str] = None,
        subsampling_channels: Optional[int] = None,
        **kwargs,
    ):
        check_espnet_options(kwargs, super().__init__)
        input_layer = kwargs.get("input_layer")
        channels = checked_channels(subsampling_channels, input_layer)
        if input_layer is not None:
            kwargs["input_layer"] = stock_input_layer(input_layer)
        super().__init__(*args, **kwargs)
        if input_layer in DEPTHWISE:
            make_depthwise(self.embed, input_layer, channels)
        self.num_blocks = len(self.encoders)
        options = GateOptions(
            gate_layers, blank_threshold, spike_extension, conv_context, attn_context
        )
        check_gates_exist(options.gate_layers or (), self.num_blocks)
        self._take(DEFAULTS)  # where YAML says null
        self._take(options)
        self._built_gate_layers = list(self.gate_layers)
        self.gate_head = check_choice("gate_head", gate_head, GATE_HEADS)
        self.train_skip = checked_train_skip(train_skip)
        self.skip_warmup_steps = checked_warmup_steps(skip_warmup_steps)
        check_plugin_version(requires_plugin)
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

    @property
    def gate_options(self) -> GateOptions:
        """The gates as they are now."""
        names = DEFAULTS.given()
        return GateOptions(**{name: getattr(self, name) for name in names})

    def set_gate(self, options: Optional[GateOptions] = None, **changes) -> None:
        """Change the gates at run time; what is None stays as it is.

        Args:
            options: what to change; ``gate_layers`` to some of ``possible_gates``. Its
                ``mode`` is no matter here: ``encode_frames`` is told it.
            **changes: options by name, over those.

        Raises:
            ValueError: naming the option and its allowed range; the gates are then
                as they were.
        """
        options = replace(options or GateOptions(), **changes)
        if options.gate_layers is not None:
            self._check_possible(options.gate_layers)
        self._take(options)

    def _take(self, options: GateOptions) -> None:
        for name, value in replace(options, mode=None).given().items():
            setattr(self, name, value)

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

    def _check_possible(self, gate_layers: Sequence[int]) -> None:
        check_gates_exist(gate_layers, self.num_blocks)
        possible = self.possible_gates
        if not gate_layers or not set(gate_layers) <= set(possible):
            raise ValueError(
                f"gate_layers={list(gate_layers)} must be chosen from "
                f"{possible or 'none: this encoder was built without a gate'}"
                + (", the layers with an intermediate CTC" if possible else "")
            )

    def _check_can_skip(self) -> None:
        """Refuse stock options whose meaning depends on unbroken time."""
        check_can_skip(
            self.self_attention(self.encoders[0]),
            self.encoders[0].feed_forward,
            self.ctc_trim,
        )
