"""One layer of each encoder in a graph, on the frames that ``frames`` describes.

The same steps in the same order as the encoders' ``run_layer``, in evaluation mode.
"""

import torch

from espnet_blankskip.export.attention import check_attention
from espnet_blankskip.export.graph import Graph, Value
from espnet_blankskip.export.modules import (
    CannotExport,
    activation,
    affine,
    array,
    feed_forward,
    gated_linear_unit,
    layer_norm,
    linear,
)
from espnet_blankskip.upstream import (
    ConformerEncoder,
    EBranchformerEncoder,
    TransformerEncoder,
)


class ConformerLayers:
    """ESPnet's conformer layers.

    Args:
        g: The graph.
        encoder: ESPnet's encoder, or the plugin's.
    """

    def __init__(self, g: Graph, encoder: torch.nn.Module):
        self.g = g
        first = encoder.encoders[0]
        check_attention(first.self_attn)
        self.heads = first.self_attn.h
        self.relative = hasattr(first.self_attn, "linear_pos")
        conv = first.conv_module
        self.conv_radius = 0 if conv is None else _reach(conv.depthwise_conv)
        self._after_norm = encoder.after_norm if encoder.normalize_before else None

    def intermediate_states(self, x: Value) -> Value:
        """Rows after a layer, as its intermediate CTC reads them."""
        return self.final_states(x)

    def final_states(self, x: Value) -> Value:
        """Rows after the last layer, as the CTC reads them."""
        return (
            x if self._after_norm is None else layer_norm(self.g, self._after_norm, x)
        )

    def run(self, layer: torch.nn.Module, x: Value, frames) -> Value:
        """Run one layer: rows (R, D) -> (R, D)."""
        g, pre_norm = self.g, layer.normalize_before

        def prepare(norm, rows):
            return layer_norm(g, norm, rows) if pre_norm else rows

        def finish(norm, rows):
            return rows if pre_norm else layer_norm(g, norm, rows)

        if layer.feed_forward_macaron is not None:
            norm = layer.norm_ff_macaron
            rows, scale = prepare(norm, x), layer.ff_scale
            out = feed_forward(g, layer.feed_forward_macaron, rows, scale)
            x = finish(norm, x + out)

        norm = layer.norm_mha
        inputs = prepare(norm, x)
        out = frames.attention(
            layer.self_attn, inputs, lambda stale, norm=norm: prepare(norm, stale)
        )
        out = _after_attention(g, layer, inputs, out)
        x = finish(norm, x + out)

        if layer.conv_module is not None:
            norm = layer.norm_conv
            out = self._convolution(
                layer.conv_module,
                prepare(norm, x),
                frames,
                lambda stale, norm=norm: prepare(norm, stale),
            )
            x = finish(norm, x + out)

        norm = layer.norm_ff
        out = feed_forward(g, layer.feed_forward, prepare(norm, x), layer.ff_scale)
        x = finish(norm, x + out)
        return x if layer.conv_module is None else layer_norm(g, layer.norm_final, x)

    def _convolution(self, module, x: Value, frames, prepare) -> Value:
        g = self.g
        width = module.depthwise_conv.in_channels

        def project(rows):
            rows = linear(g, module.pointwise_conv1, rows, "pointwise_conv1")
            return gated_linear_unit(g, rows, width)

        x = frames.depthwise(
            module.depthwise_conv,
            project(x),
            lambda stale: project(prepare(stale)),
            module.norm,
        )
        x = activation(g, module.activation, x)
        return linear(g, module.pointwise_conv2, x, "pointwise_conv2")


class EBranchformerLayers:
    """ESPnet's E-Branchformer layers; arguments as for `ConformerLayers`."""

    def __init__(self, g: Graph, encoder: torch.nn.Module):
        self.g = g
        first = encoder.encoders[0]
        check_attention(first.attn)
        self.heads = first.attn.h
        self.relative = hasattr(first.attn, "linear_pos")
        self.conv_radius = _reach(first.cgmlp.csgu.conv)
        self._after_norm = encoder.after_norm

    def intermediate_states(self, x: Value) -> Value:
        """Rows after a layer, as its intermediate CTC reads them."""
        return x

    def final_states(self, x: Value) -> Value:
        """Rows after the last layer, as the CTC reads them."""
        return layer_norm(self.g, self._after_norm, x)

    def run(self, layer: torch.nn.Module, x: Value, frames) -> Value:
        """Run one layer: rows (R, D) -> (R, D)."""
        g = self.g
        if layer.feed_forward_macaron is not None:
            out = layer_norm(g, layer.norm_ff_macaron, x)
            x = x + feed_forward(g, layer.feed_forward_macaron, out, layer.ff_scale)

        attended = frames.attention(
            layer.attn,
            layer_norm(g, layer.norm_mha, x),
            lambda stale: layer_norm(g, layer.norm_mha, stale),
        )
        gated = self._cgmlp(
            layer.cgmlp,
            layer_norm(g, layer.norm_mlp, x),
            frames,
            lambda stale: layer_norm(g, layer.norm_mlp, stale),
        )
        branches = g.concat(attended, gated, axis=1)
        nearby = frames.depthwise(layer.depthwise_conv_fusion, branches)
        x = x + linear(g, layer.merge_proj, branches + nearby, "merge_proj")

        if layer.feed_forward is not None:
            out = layer_norm(g, layer.norm_ff, x)
            x = x + feed_forward(g, layer.feed_forward, out, layer.ff_scale)
        return layer_norm(g, layer.norm_final, x)

    def _cgmlp(self, module, x: Value, frames, prepare) -> Value:
        g, unit = self.g, module.csgu
        first, act = module.channel_proj1
        weight, bias = array(first.weight), array(first.bias)
        half = len(weight) // 2

        def part(rows, of):
            return activation(g, act, affine(g, weight[of], bias[of], rows, "proj1"))

        values = part(x, slice(half))
        gates = frames.depthwise(
            unit.conv,
            layer_norm(g, unit.norm, part(x, slice(half, None))),
            # what a skipped frame would multiply its own values with is not computed
            lambda s: layer_norm(g, unit.norm, part(prepare(s), slice(half, None))),
        )
        if unit.linear is not None:
            gates = linear(g, unit.linear, gates)
        gates = activation(g, unit.act, gates)
        return linear(g, module.channel_proj2, values * gates, "proj2")


class TransformerLayers(ConformerLayers):
    """ESPnet's transformer layers; arguments as for `ConformerLayers`."""

    def __init__(self, g: Graph, encoder: torch.nn.Module):
        self.g = g
        self.heads = encoder.encoders[0].self_attn.h
        self.relative = False
        self.conv_radius = 0
        self._after_norm = encoder.after_norm if encoder.normalize_before else None

    def run(self, layer: torch.nn.Module, x: Value, frames) -> Value:
        """Run one layer: rows (R, D) -> (R, D)."""
        g, pre_norm = self.g, layer.normalize_before

        def prepare(norm, rows):
            return layer_norm(g, norm, rows) if pre_norm else rows

        inputs = prepare(layer.norm1, x)
        out = frames.attention(
            layer.self_attn, inputs, lambda stale: prepare(layer.norm1, stale)
        )
        x = x + _after_attention(g, layer, inputs, out)
        x = x if pre_norm else layer_norm(g, layer.norm1, x)
        x = x + feed_forward(g, layer.feed_forward, prepare(layer.norm2, x))
        return x if pre_norm else layer_norm(g, layer.norm2, x)


def layers_of(g: Graph, encoder: torch.nn.Module):
    """Return what writes an encoder's layers.

    Raises:
        CannotExport: It is no encoder that can be exported.
    """
    for kind, layers in (
        (ConformerEncoder, ConformerLayers),
        (EBranchformerEncoder, EBranchformerLayers),
        (TransformerEncoder, TransformerLayers),
    ):
        if isinstance(encoder, kind):
            return layers(g, encoder)
    raise CannotExport(
        f"encoder {type(encoder).__name__} cannot be exported; conformer, "
        "e_branchformer and transformer can, with gates or without"
    )


def _after_attention(g: Graph, layer, inputs: Value, out: Value) -> Value:
    if not layer.concat_after:
        return out
    joined = g.concat(inputs, out, axis=1)
    return linear(g, layer.concat_linear, joined, "concat_linear")


def _reach(conv: torch.nn.Conv1d) -> int:
    return conv.kernel_size[0] // 2
