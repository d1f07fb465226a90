"""``encoder: blankskip_e_branchformer_ctc``: OWSM-CTC's encoder with layer skipping."""

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from espnet_blankskip.encoders.e_branchformer import EBranchformerSkipping
from espnet_blankskip.upstream import EBranchformerCTCEncoder


@dataclass(frozen=True)
class Prompt:
    """What OWSM-CTC's encoder is told beside the audio.

    Attributes:
        prefix_embeds: embedded language and task tokens (B, P, D), which stand as P
            frames before the audio; or None.
        memory: encoded text prompt (B, U, D) for the cross-attention; or None.
        memory_mask: (B, 1, U) bool, False on padding; or None.
    """

    prefix_embeds: Optional[Tensor] = None
    memory: Optional[Tensor] = None
    memory_mask: Optional[Tensor] = None

    @property
    def frames(self) -> int:
        """Frames of prefix; they tell every layer what to do and are never skipped."""
        return 0 if self.prefix_embeds is None else self.prefix_embeds.size(1)

    def heard_by(self, layer: torch.nn.Module, x: Tensor) -> Tensor:
        """Add the layer's cross-attention, if it has one: (B, N, D) both ways."""
        if layer.cross_attn is None or self.memory is None:
            return x
        inputs = layer.norm_cross_attn(x)
        out = layer.cross_attn(inputs, self.memory, self.memory, self.memory_mask)
        return x + layer.dropout(out)


class BlankSkipEBranchformerCTCEncoder(EBranchformerSkipping, EBranchformerCTCEncoder):
    """ESPnet's EBranchformerCTCEncoder (OWSM-CTC) whose blank frames leave early.

    For ESPnet's S2T task (``espnet2.tasks.s2t_ctc``). Takes every option of ESPnet's
    EBranchformerCTCEncoder, with the same parameter names and shapes, and those of
    `LayerSkipping`. Prefix frames are part
    of the time axis, are always kept, and come out in front as in ESPnet.

    OWSM-CTC trains its early intermediate CTC layers on the transcript and its later
    ones on the target text (``ctc_asr_only``): where the two differ, as in
    translation, an early gate tells where the *transcript* is blank.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    def forward(
        self,
        xs_pad: Tensor,
        ilens: Tensor,
        prev_states=None,
        ctc=None,
        max_layer=None,
        prefix_embeds=None,
        memory=None,
        memory_mask=None,
    ):
        """Encode a batch; see ``LayerSkipping.forward``.

        Args:
            xs_pad: input features (B, T_in, F).
            ilens: input lengths (B,).
            prev_states: not used.
            ctc: the CTC head that the gates read.
            max_layer: stop after this layer, counted from 0. ESPnet's own code runs,
                without skipping.
            prefix_embeds: language and task tokens (B, P, D).
            memory: encoded text prompt (B, U, D).
            memory_mask: (B, 1, U) bool, False on padding.
        """
        if max_layer is not None:
            return EBranchformerCTCEncoder.forward(
                self,
                xs_pad,
                ilens,
                prev_states,
                ctc,
                max_layer,
                prefix_embeds,
                memory,
                memory_mask,
            )
        if not hasattr(self.embed, "conv"):
            prefix_embeds = None  # only ESPnet's convolutional input layers read it
        prompt = Prompt(prefix_embeds, memory, memory_mask)
        return super().forward(xs_pad, ilens, ctc=ctc, prompt=prompt)

    def embed_features(self, xs_pad: Tensor, prompt=None):
        """Run the input layer with the prefix before the audio: -> (B, P + T, D)."""
        if prompt is None or prompt.prefix_embeds is None:
            return super().embed_features(xs_pad)
        return self.embed(xs_pad, None, prompt.prefix_embeds)[0]
