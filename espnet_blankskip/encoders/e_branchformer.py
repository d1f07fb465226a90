"""``encoder: blankskip_e_branchformer``: E-Branchformer with layer skipping."""

from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from espnet_blankskip.acceleration import fast
from espnet_blankskip.acceleration.linear import PLAIN_LINEAR
from espnet_blankskip.encoders.skipping import LayerSkipping
from espnet_blankskip.upstream import EBranchformerEncoder, FastSelfAttention


class EBranchformerSkipping(LayerSkipping):
    """Layer skipping for every ESPnet encoder that stacks E-Branchformer layers.

    Both depthwise convolutions of a layer, the gating one of cgMLP and the one that
    merges the branches, work on the true time axis. What they see at a skipped frame
    differs:

    - cgMLP gates with the frame's last state (``conv_context: stale``), sent through
      the layer's own norm and the gate half of its first projection. The other half
      would only be multiplied into the skipped frame itself, so it is not computed.
    - The merge sees zeros in both contexts, which is also what it saw in training
      beyond the ends of every utterance. Its inputs are outputs of this layer's two
      branches, and a skipped frame has none: making them takes the attention and
      cgMLP that skipping is there to save, and those of the layer where the frame
      left come from other weights. A frame's own branch outputs also pass around
      the convolution. An argument, not a measurement: with a wide
      ``merge_conv_kernel``, calibrate before skipping without training.

    As in ESPnet's encoder, the intermediate CTC reads a layer's output as it is:
    ``norm_final`` has normalized it, and only the last layer gets ``after_norm``.
    """

    def intermediate_states(self, x: Tensor) -> Tensor:
        """States (B, N, D) after a layer, as its intermediate CTC reads them."""
        return x

    def final_states(self, x: Tensor) -> Tensor:
        """States (B, N, D) after the last layer, as the CTC reads them."""
        return self.after_norm(x)

    def self_attention(self, layer: torch.nn.Module) -> torch.nn.Module:
        """Self-attention module of a layer."""
        return layer.attn

    def conv_radius(self) -> int:
        """Frames that cgMLP's convolution reaches on each side."""
        return self.encoders[0].cgmlp.csgu.conv.kernel_size[0] // 2

    def run_layer(self, layer: torch.nn.Module, x: Tensor, mixing) -> Tensor:
        """Run one E-Branchformer layer on the frames that ``mixing`` describes.

        Args:
            layer: ESPnet's ``EBranchformerEncoderLayer``.
            x: (B, N, D).
            mixing: AllFrames or KeptFrames.

        Returns:
            (B, N, D).
        """
        if layer.feed_forward_macaron is not None:
            out = layer.feed_forward_macaron(layer.norm_ff_macaron(x))
            x = x + layer.ff_scale * layer.dropout(out)

        inputs = layer.norm_mha(x)
        if isinstance(layer.attn, FastSelfAttention):
            attended = layer.attn(inputs, mixing.mask)
        else:
            attended = mixing.attention(layer.attn, inputs, layer.norm_mha)
        attended = layer.dropout(attended)
        gated = _cgmlp(layer.cgmlp, layer.norm_mlp(x), mixing, layer.norm_mlp)
        gated = layer.dropout(gated)

        branches = torch.cat([attended, gated], dim=-1)
        nearby = mixing.depthwise(layer.depthwise_conv_fusion, branches)
        x = x + layer.dropout(layer.merge_proj(branches + nearby))

        if layer.feed_forward is not None:
            out = layer.feed_forward(layer.norm_ff(x))
            x = x + layer.ff_scale * layer.dropout(out)
        if mixing.prompt is not None:
            x = mixing.prompt.heard_by(layer, x)
        return layer.norm_final(x)

    def _check_can_skip(self) -> None:
        if isinstance(self.encoders[0].attn, FastSelfAttention):
            raise ValueError(
                "gate_layers cannot go with attention_layer_type=fast_selfattn: it "
                "pools over all frames; use selfattn or rel_selfattn"
            )
        super()._check_can_skip()


class BlankSkipEBranchformerEncoder(EBranchformerSkipping, EBranchformerEncoder):
    """ESPnet's EBranchformerEncoder whose blank frames leave early.

    Takes every option of ESPnet's EBranchformerEncoder, with the same parameter names
    and shapes, and those of `LayerSkipping`.
    Follows Hou et al., "CTC Blank Triggered Dynamic Layer-Skipping", ASRU 2023, and
    Kim et al., "E-Branchformer", SLT 2022.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    def forward(
        self,
        xs_pad: Tensor,
        ilens: Tensor,
        prev_states=None,
        masks=None,
        ctc=None,
        max_layer=None,
        return_all_hs: bool = False,
    ):
        """Encode a batch; see ``LayerSkipping.forward``.

        Args:
            xs_pad: input features (B, T_in, F).
            ilens: input lengths (B,).
            prev_states: not used.
            masks: padding mask (B, T_in) bool, True on padding.
            ctc: the CTC head that the gates read.
            max_layer: stop after this many layers. ESPnet's own code runs, without
                skipping.
            return_all_hs: as for ``LayerSkipping.forward``.
        """
        if max_layer is not None:
            return EBranchformerEncoder.forward(
                self, xs_pad, ilens, prev_states, masks, ctc, max_layer, return_all_hs
            )
        return super().forward(xs_pad, ilens, prev_states, masks, ctc, return_all_hs)

    def drops_layer(self, number: int) -> bool:
        """Draw ``layer_drop_rate`` as ESPnet does; a gate layer is never dropped."""
        if not self.training:
            return False
        drawn = torch.empty(1).uniform_().item() < self.layer_drop_rate
        return drawn and number not in self.gate_layers

    def embed_features(self, xs_pad: Tensor, prompt=None):
        """Run the input layer, checkpointed if 0 is in gradient_checkpoint_layers."""
        if 0 not in self.gradient_checkpoint_layers:
            return super().embed_features(xs_pad, prompt)
        return checkpoint(super().embed_features, xs_pad, use_reentrant=False)

    def run_layer(self, layer: torch.nn.Module, x: Tensor, mixing) -> Tensor:
        """Run one layer, checkpointed if it is in gradient_checkpoint_layers."""
        if self.gradient_checkpoint_layers:
            number = 1 + next(i for i, m in enumerate(self.encoders) if m is layer)
            if number in self.gradient_checkpoint_layers:
                run = super().run_layer
                return checkpoint(run, layer, x, mixing, use_reentrant=False)
        return super().run_layer(layer, x, mixing)


def _cgmlp(
    module: torch.nn.Module, x: Tensor, mixing, prepare: Callable[[Tensor], Tensor]
) -> Tensor:
    """ESPnet's ConvolutionalGatingMLP with true-time gates: (B, N, D) both ways."""
    unit = module.csgu
    linear, activation = module.channel_proj1
    values, gates = module.channel_proj1(x).chunk(2, dim=-1)

    def project(states):
        if type(linear) not in PLAIN_LINEAR:
            # a quantized or adapted projection cannot be cut in half
            context = module.channel_proj1(prepare(states)).chunk(2, dim=-1)[1]
            return unit.norm(context)
        states, half = prepare(states), linear.out_features // 2
        if fast(linear, states):
            context = linear.outputs_from(states, half)
        else:
            context = F.linear(states, linear.weight[half:], linear.bias[half:])
        return unit.norm(activation(context))

    gates = mixing.depthwise(unit.conv, unit.norm(gates), project)
    if unit.linear is not None:
        gates = unit.linear(gates)
    return module.channel_proj2(unit.dropout(values * unit.act(gates)))
