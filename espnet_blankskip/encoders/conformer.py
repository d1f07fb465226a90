"""``encoder: blankskip_conformer``: ESPnet's conformer with layer skipping."""

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_blankskip.encoders.skipping import LayerSkipping
from espnet_blankskip.upstream import ConformerEncoder


class BlankSkipConformerEncoder(LayerSkipping, ConformerEncoder):
    """ESPnet's ConformerEncoder whose intermediate CTC lets blank frames leave early.

    Takes every option of ESPnet's ConformerEncoder, with the same parameter names and
    shapes, and those of `LayerSkipping`.
    Follows Hou et al., "CTC Blank Triggered Dynamic Layer-Skipping", ASRU 2023.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    def conv_radius(self) -> int:
        """Frames that one layer's convolution reaches on each side."""
        module = self.encoders[0].conv_module
        return 0 if module is None else module.depthwise_conv.kernel_size[0] // 2

    def run_layer(self, layer: torch.nn.Module, x: Tensor, mixing) -> Tensor:
        """Run one conformer layer on the frames that ``mixing`` describes.

        Args:
            layer: ESPnet's conformer ``EncoderLayer``.
            x: (B, N, D).
            mixing: AllFrames or KeptFrames.

        Returns:
            (B, N, D).
        """
        scale = 1.0
        if self.training and layer.stochastic_depth_rate > 0:
            if torch.rand(1).item() < layer.stochastic_depth_rate:
                return x
            scale = 1.0 / (1 - layer.stochastic_depth_rate)
        pre_norm = layer.normalize_before

        def prepare(norm):
            return norm if pre_norm else torch.nn.Identity()

        def finish(norm, x):
            return x if pre_norm else norm(x)

        if layer.feed_forward_macaron is not None:
            norm = layer.norm_ff_macaron
            out = layer.dropout(layer.feed_forward_macaron(prepare(norm)(x)))
            x = finish(norm, x + scale * layer.ff_scale * out)

        norm = prepare(layer.norm_mha)
        inputs = norm(x)
        out = mixing.attention(layer.self_attn, inputs, norm)
        if layer.concat_after:
            out = layer.concat_linear(torch.cat((inputs, out), dim=-1))
        else:
            out = layer.dropout(out)
        x = finish(layer.norm_mha, x + scale * out)

        if layer.conv_module is not None:
            norm = prepare(layer.norm_conv)
            out = _convolution(layer.conv_module, norm(x), mixing, norm)
            x = finish(layer.norm_conv, x + scale * layer.dropout(out))

        out = layer.dropout(layer.feed_forward(prepare(layer.norm_ff)(x)))
        x = finish(layer.norm_ff, x + scale * layer.ff_scale * out)
        return x if layer.conv_module is None else layer.norm_final(x)


def _convolution(module: torch.nn.Module, x: Tensor, mixing, prepare) -> Tensor:
    """ESPnet's ConvolutionModule with true-time depthwise part: (B, N, D) both ways."""

    def project(states):
        return F.glu(mixing.pointwise(module.pointwise_conv1, states), dim=-1)

    h = mixing.depthwise(
        module.depthwise_conv, project(x), lambda stale: project(prepare(stale))
    )
    h = module.activation(mixing.batch_norm(module.norm, h))
    return mixing.pointwise(module.pointwise_conv2, h)
