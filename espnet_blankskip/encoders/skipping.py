"""The layer-skipping engine, shared by all blankskip encoders.

Stage 1 runs on all frames up to the first gate layer K; after it the frames that the
intermediate CTC calls blank leave, and stage 2 runs on the kept ones. A second gate
is the same step on the kept set.
"""

import logging
from typing import Optional

import torch
from torch import Tensor

from espnet_blankskip.encoders.encoded_frames import EncodedFrames
from espnet_blankskip.encoders.gated_encoder import GatedEncoder
from espnet_blankskip.encoders.input_layer_names import use_names_of
from espnet_blankskip.encoders.input_padding import hide_padding, padding_of
from espnet_blankskip.encoders.mixing import AllFrames, KeptFrames
from espnet_blankskip.encoders.positions import PositionTables
from espnet_blankskip.gate import blank_log_prob, keep_frames
from espnet_blankskip.gate_options import MODES, check_choice
from espnet_blankskip.packing import gather_frames, pack_frames, scatter_frames
from espnet_blankskip.upstream import (
    TooShortUttError,
    check_short_utt,
    make_pad_mask,
)

logger = logging.getLogger(__name__)


class LayerSkipping(GatedEncoder):
    """Mix-in that adds layer skipping to an ESPnet encoder.

    The encoder below it provides ``embed``, ``encoders``, ``after_norm`` and
    ESPnet's interCTC options; the class that joins the two provides ``run_layer``
    and ``conv_radius``, and may say otherwise in ``embed_features``, ``drops_layer``,
    ``self_attention``, ``intermediate_states`` and ``final_states``. Its options are
    those of `GatedEncoder`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.last_kept = None  # (B, T) bool, what the gates chose in the last batch
        self.last_gate_logits = None  # (B, T), of a gate with a head of its own
        self._positions = PositionTables()
        self._warned_no_ctc = False
        hide_padding(self.embed)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Take the input layer's weights by the names of any ESPnet version."""
        use_names_of([prefix + name for name in self.state_dict()], state_dict)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def train(self, mode: bool = True):
        """Set the mode, and look at the weights anew, whoever wrote into them."""
        self._positions.forget()
        return super().train(mode)

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
            return_all_hs: return the states after every layer instead of the
                intermediate CTC outputs; nothing is skipped then. Without gates it
                means what it means in the ESPnet encoder.
            prompt: what the encoder is told beside the audio, if it listens to any;
                its ``frames`` stand before the audio and are never skipped.

        Returns:
            states (B, T, D), or a tuple of them and the intermediate outputs;
            lengths (B,); None.

        Raises:
            TooShortUttError: if the batch is too short for the subsampling.
        """
        if not self.gate_layers and (self.ctc_trim or return_all_hs):
            return super().forward(
                xs_pad, ilens, masks=masks, ctc=ctc, return_all_hs=return_all_hs
            )
        if masks is not None:
            ilens = (~masks).sum(1)
        mode = "dense"
        if self.gate_layers and ctc is None:
            self._warn_no_ctc()
        elif self.gate_layers and not return_all_hs:
            if not self._is_in_training or self._skips_this_batch():
                mode = "skipping"
        encoded, all_hs = self._encode(xs_pad, ilens, ctc, mode, return_all_hs, prompt)
        self._count_batch()
        extra = all_hs or encoded.intermediate
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
        """Run all layers; arguments as for ``forward`` and ``encode_frames``.

        Until a gate lets frames go, ``x`` holds all T frames; after it the N kept ones,
        while ``stale`` keeps the last states of all and ``left`` what is put out for
        those that are gone.

        Returns:
            EncodedFrames, and the states (B, T, D) after each layer, if asked for.
        """
        x, pos_emb, lens = self._subsample(xs_pad, ilens, prompt)
        valid = ~make_pad_mask(lens, maxlen=x.size(1)).to(x.device)
        frames = None  # PackedFrames once some have left
        left = stale = None  # output and last state of the frames that have left
        running, blank_logp = valid, None
        depth = valid.long() * self.num_blocks
        mixing = AllFrames(valid, pos_emb, prompt)
        intermediate, all_hs = [], []
        reads_gate = mode == "skipping" or (self._is_in_training and ctc is not None)

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
            # in the graph even when nothing left and nothing teaches the gate, as
            # distributed training insists
            gate = sum(parameter.sum() for parameter in self.gate.parameters())
            states = states + 0.0 * (self.blank_state + gate)
        blank_logp = None if blank_logp is None else blank_logp.squeeze(-1)
        kept = depth == self.num_blocks
        return EncodedFrames(
            states, lens, depth, kept, blank_logp, intermediate
        ), all_hs

    def _subsample(self, xs_pad: Tensor, ilens: Tensor, prompt=None):
        """Run the input layer: states (B, T, D), positional encoding, lengths (B,).

        An utterance gets the length that it has on its own. The stock mask of ESPnet
        202511 counts up to one output frame more where a longer neighbour pads the
        batch.
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
        with padding_of(lens):
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
        logits = self.gate(x)
        self.last_gate_logits = logits
        return torch.nn.functional.logsigmoid(logits.detach())

    def _as_output(self, normed: Tensor) -> Tensor:
        """States (B, T, D) as they come out where frames leave."""
        if self.gate_head == "ctc":
            return normed
        return self.blank_state.to(normed.dtype).expand_as(normed)

    def _warn_no_ctc(self) -> None:
        if not self._warned_no_ctc:
            logger.warning(
                "gate_layers=%s but the encoder got no CTC: running all layers",
                self.gate_layers,
            )
            self._warned_no_ctc = True
