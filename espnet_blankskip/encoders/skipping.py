"""The layer-skipping engine, shared by all blankskip encoders.

Stage 1 runs on all frames up to the first gate layer K; after it the frames that the
intermediate CTC calls blank leave, and stage 2 runs on the kept ones. A second gate
is the same step on the kept set.
"""

import logging
from typing import List, Optional, Sequence, Union

import torch
from torch import Tensor

from espnet_blankskip.encoders.encoded_frames import MODES, EncodedFrames
from espnet_blankskip.encoders.input_padding import padding_hidden
from espnet_blankskip.encoders.mixing import AllFrames, KeptFrames
from espnet_blankskip.encoders.options import (
    ATTN_CONTEXTS,
    CONV_CONTEXTS,
    GATE_HEADS,
    check_can_skip,
    check_choice,
    check_plugin_version,
    check_train_skip,
    checked_gate_layers,
)
from espnet_blankskip.encoders.positions import PositionTables
from espnet_blankskip.gate import (
    BlankGate,
    blank_log_prob,
    check_gate_options,
    keep_frames,
)
from espnet_blankskip.packing import gather_frames, pack_frames, scatter_frames
from espnet_blankskip.upstream import (
    TooShortUttError,
    check_short_utt,
    make_pad_mask,
)


class LayerSkipping:
    """Mix-in that adds layer skipping to an ESPnet encoder.

    The encoder below it provides ``embed``, ``encoders``, ``after_norm`` and
    ESPnet's interCTC options; the class that joins the two provides ``run_layer``,
    ``conv_radius`` and ``frame_counter``, and may say otherwise in
    ``embed_features``, ``drops_layer``, ``self_attention``, ``intermediate_states``
    and ``final_states``.

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
        train_skip: skip in training: True, False, or the probability per batch.
        skip_warmup_steps: training batches before skipping starts.
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
        self.last_kept = None  # (B, T) bool, what the gates chose in the last batch
        self.last_gate_logits = None  # (B, T), of a gate with a head of its own
        self._positions = PositionTables()
        self._counted_steps = 0
        self._warned_no_ctc = False
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

    @property
    def training_steps(self) -> int:
        """Batches this encoder was trained on, as far as its weights can tell.

        Counted by the first layer's batch norm, which a checkpoint carries, so that
        a resumed training does not warm up twice.
        """
        counter = self.frame_counter()
        in_weights = 0 if counter is None else int(counter.num_batches_tracked)
        return max(in_weights, self._counted_steps)

    def forward(
        self,
        xs_pad: Tensor,
        ilens: Tensor,
        prev_states: Optional[Tensor] = None,
        masks: Optional[Tensor] = None,
        ctc: Optional[torch.nn.Module] = None,
        return_all_hs: bool = False,
        prompt=None,
    ):
        """Encode a batch; the interface of ESPnet's encoders.

        Args:
            xs_pad: input features (B, T_in, F).
            ilens: input lengths (B,).
            prev_states: not used.
            masks: padding mask (B, T_in) bool, True on padding; instead of ``ilens``.
            ctc: the CTC head that the gates read.
            return_all_hs: also return the states after every layer.
            prompt: what the encoder is told beside the audio, if it listens to any;
                its ``frames`` stand before the audio and are never skipped.

        Returns:
            states (B, T, D), or a tuple of them and the intermediate outputs;
            lengths (B,); None.

        Raises:
            TooShortUttError: if the batch is too short for the subsampling.
        """
        if self.ctc_trim and not self.gate_layers:
            return super().forward(
                xs_pad, ilens, prev_states, masks, ctc, return_all_hs
            )
        if masks is not None:
            ilens = (~masks).sum(1)
        mode = "dense"
        if self.gate_layers and ctc is None:
            self._warn_no_ctc()
        elif self.gate_layers and (not self.training or self._skips_this_batch()):
            mode = "skipping"
        encoded, all_hs = self._encode(xs_pad, ilens, ctc, mode, return_all_hs, prompt)
        if self.training:
            self._counted_steps += 1
        extra = encoded.intermediate or all_hs
        states = (encoded.states, extra) if extra else encoded.states
        return states, encoded.lens, None

    def encode_frames(
        self,
        feats: Tensor,
        feats_lens: Tensor,
        ctc: Optional[torch.nn.Module] = None,
        mode: str = "skipping",
        prompt=None,
    ) -> EncodedFrames:
        """Encode a batch and tell how deep each frame ran.

        Args:
            feats: input features (B, T_in, F).
            feats_lens: input lengths (B,).
            ctc: the CTC head that the gates read.
            mode: "skipping"; "dense" (all frames through all layers); or
                "intermediate" (all frames stop at the first gate layer).
            prompt: as for ``forward``.

        Raises:
            ValueError: if ``mode`` is unknown, or needs a gate or CTC that is missing.
            TooShortUttError: if the batch is too short for the subsampling.
        """
        check_choice("mode", mode, MODES)
        if mode != "dense" and not self.gate_layers:
            raise ValueError(f"mode={mode} needs an encoder with gate_layers")
        if mode == "intermediate" and self.gate_head == "own":
            raise ValueError(
                "mode=intermediate needs gate_head=ctc: a gate of its own "
                "predicts blank, not labels"
            )
        if mode == "skipping" and ctc is None:
            raise ValueError("mode=skipping needs the model's CTC to read the gate")
        return self._encode(feats, feats_lens, ctc, mode, prompt=prompt)[0]

    def _encode(self, xs_pad, ilens, ctc, mode, return_all_hs=False, prompt=None):
        x, pos_emb, lens = self._subsample(xs_pad, ilens, prompt)
        valid = ~make_pad_mask(lens, maxlen=x.size(1)).to(x.device)
        frames = None  # PackedFrames once some have left
        left = stale = None  # output and last state of the frames that have left
        running, blank_logp = valid, None
        depth = valid.long() * self.num_blocks
        mixing = AllFrames(valid, pos_emb, prompt)
        intermediate, all_hs = [], []
        reads_gate = mode == "skipping" or (self.training and ctc is not None)

        def full(packed, base):
            return packed if frames is None else scatter_frames(base, packed, frames)

        for number, layer in enumerate(self.encoders, start=1):
            if self.drops_layer(number):
                continue
            x = self.run_layer(layer, x, mixing)
            gate = number in self.gate_layers
            if return_all_hs:
                all_hs.append(full(x, stale))
            interctc = number in self.interctc_layer_idx
            if not gate and not interctc:
                continue

            normed = self.intermediate_states(x)
            out = full(normed, left)
            if interctc or self.gate_head == "ctc":
                intermediate.append((number, out))
            if mode == "intermediate" and gate:
                depth = valid.long() * number
                return EncodedFrames(out, lens, depth, valid, None, intermediate), []
            read = self._read_gate(x, normed, ctc) if gate and reads_gate else None
            if self.interctc_use_conditioning and interctc:
                x = x + self.conditioning_layer(ctc.softmax(normed))
            if read is None:
                continue

            blank_logp = full(read.unsqueeze(-1), blank_logp)
            keep = keep_frames(
                blank_logp.squeeze(-1),
                running,
                self.blank_threshold,
                self.spike_extension,
            )
            if prompt is not None:
                keep[:, : prompt.frames] = True
            if mode == "skipping" and not keep.equal(running):
                left, stale = self._as_output(out), full(x, stale)
                depth = depth.masked_fill(running & ~keep, number)
                frames = pack_frames(keep)
                x = gather_frames(stale, frames)
                mixing = KeptFrames(
                    frames,
                    keep,
                    valid,
                    stale,
                    pos_emb,
                    self._positions,
                    self.conv_context,
                    self.attn_context,
                    self.conv_radius(),
                    prompt,
                )
            running = keep

        if reads_gate:
            self.last_kept = running
        states = full(self.final_states(x), left)
        if self.training and self.gate_layers and self.gate_head == "own":
            # in the graph even when nothing left, as distributed training insists
            states = states + 0.0 * self.blank_state
        blank_logp = None if blank_logp is None else blank_logp.squeeze(-1)
        kept = depth == self.num_blocks
        return EncodedFrames(
            states, lens, depth, kept, blank_logp, intermediate
        ), all_hs

    def _subsample(self, xs_pad: Tensor, ilens: Tensor, prompt=None):
        """Run the input layer: states (B, T, D), positional encoding, lengths (B,).

        An utterance gets the length that it has on its own. The stock mask counts up
        to one output frame more where a longer neighbour pads the batch.
        """
        too_short, limit = check_short_utt(self.embed, xs_pad.size(1))
        if too_short:
            raise TooShortUttError(
                f"has {xs_pad.size(1)} frames and is too short for subsampling "
                f"(it needs at least {limit} frames), return empty results",
                xs_pad.size(1),
                limit,
            )
        lens = ilens.to(xs_pad.device)
        if hasattr(self.embed, "conv"):
            for module in self.embed.conv:
                if hasattr(module, "kernel_size"):
                    width, stride = module.kernel_size[0], module.stride[0]
                    lens = torch.div(lens - width, stride, rounding_mode="floor") + 1
            lens = lens.clamp(min=0)
        if prompt is not None:
            lens = lens + prompt.frames
        with padding_hidden(self.embed, lens):
            x = self.embed_features(xs_pad, prompt)
        x, pos_emb = x if isinstance(x, tuple) else (x, None)
        return x, pos_emb, lens

    def embed_features(self, xs_pad: Tensor, prompt=None):
        """Run the input layer: features (B, T_in, F) -> (B, T, D).

        Returns:
            A tensor, or a tuple of it and the relative positional encoding.
        """
        if self.embed is None:
            return xs_pad
        if hasattr(self.embed, "conv"):
            return self.embed(xs_pad, None)[0]
        return self.embed(xs_pad)

    def drops_layer(self, number: int) -> bool:
        """Whether this batch leaves the layer out, for encoders with layer drop."""
        return False

    def self_attention(self, layer: torch.nn.Module) -> torch.nn.Module:
        """Self-attention module of a layer."""
        return layer.self_attn

    def intermediate_states(self, x: Tensor) -> Tensor:
        """States (B, N, D) after a layer, as its intermediate CTC reads them."""
        return self.after_norm(x) if self.normalize_before else x

    def final_states(self, x: Tensor) -> Tensor:
        """States (B, N, D) after the last layer, as the CTC reads them."""
        return self.after_norm(x) if self.normalize_before else x

    def _read_gate(self, x: Tensor, normed: Tensor, ctc) -> Tensor:
        """Log-probability of blank (B, N) at a gate, without gradient."""
        if self.gate_head == "ctc":
            return blank_log_prob(ctc, normed)
        self.last_gate_logits = self.gate(x)
        return torch.nn.functional.logsigmoid(self.last_gate_logits.detach())

    def _as_output(self, normed: Tensor) -> Tensor:
        """States (B, T, D) as they come out where frames leave."""
        if self.gate_head == "ctc":
            return normed
        return self.blank_state.to(normed.dtype).expand_as(normed)

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

    def _skips_this_batch(self) -> bool:
        if self.train_skip == 0.0 or self.training_steps < self.skip_warmup_steps:
            return False
        return self.train_skip == 1.0 or torch.rand(1).item() < self.train_skip

    def _warn_no_ctc(self) -> None:
        if not self._warned_no_ctc:
            logging.warning(
                "gate_layers=%s but the encoder got no CTC: running all layers",
                self.gate_layers,
            )
            self._warned_no_ctc = True

    def _check_can_skip(self) -> None:
        """Refuse stock options whose meaning depends on unbroken time."""
        check_can_skip(
            self.self_attention(self.encoders[0]),
            self.encoders[0].feed_forward,
            self.ctc_trim,
        )
