"""``encoder: blankskip_transformer``: ESPnet's transformer with layer skipping."""

import torch
from torch import Tensor

from espnet_blankskip.encoders.skipping import LayerSkipping
from espnet_blankskip.upstream import TransformerEncoder


class BlankSkipTransformerEncoder(LayerSkipping, TransformerEncoder):
    """ESPnet's TransformerEncoder whose intermediate CTC lets blank frames leave early.

    Takes every option of ESPnet's TransformerEncoder, with the same parameter names
    and shapes, and those of `LayerSkipping`.
    Positions are absolute and added below the first layer, so kept frames carry their
    true ones along; there is no convolution, so ``conv_context`` has no effect.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    def conv_radius(self) -> int:
        """No layer has a convolution over time."""
        return 0

    def run_layer(self, layer: torch.nn.Module, x: Tensor, mixing) -> Tensor:
        """Run one transformer layer on the frames that ``mixing`` describes.

        Args:
            layer: ESPnet's transformer ``EncoderLayer``.
            x: (B, N, D).
            mixing: AllFrames or KeptFrames.

        Returns:
            (B, N, D).
        """
        before = torch.nn.Identity()
        norm = layer.norm1 if layer.normalize_before else before
        inputs = norm(x)
        out = mixing.attention(layer.self_attn, inputs, norm)
        if layer.concat_after:
            x = x + layer.concat_linear(torch.cat((inputs, out), dim=-1))
        else:
            x = x + layer.dropout(out)
        if not layer.normalize_before:
            x = layer.norm1(x)

        norm = layer.norm2 if layer.normalize_before else before
        x = x + layer.dropout(layer.feed_forward(norm(x)))
        return x if layer.normalize_before else layer.norm2(x)
