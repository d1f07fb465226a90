"""Models and inputs that the benchmarks share."""

import torch

from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.upstream import CTC, ConformerEncoder

VOCABULARY = 500
FEATURES = 80


def conformer(
    layers: int = 12, width: int = 256, heads: int = 4, gate: int = 6, **options
) -> BlankSkipConformerEncoder:
    """A seeded conformer of an ESPnet recipe's proportions, gated after ``gate``."""
    torch.manual_seed(0)
    gates = dict(interctc_layer_idx=[gate], gate_layers=[gate])
    options = {**conformer_options(layers, width, heads), **gates, **options}
    return BlankSkipConformerEncoder(FEATURES, **options)


def stock_conformer(layers: int, width: int, heads: int, **options) -> ConformerEncoder:
    """ESPnet's encoder with the weights that :func:`conformer` would draw."""
    torch.manual_seed(0)
    options = {**conformer_options(layers, width, heads), **options}
    return ConformerEncoder(FEATURES, **options)


def conformer_options(layers: int, width: int, heads: int) -> dict:
    """`encoder_conf` of an ESPnet recipe's proportions."""
    return dict(
        output_size=width,
        attention_heads=heads,
        linear_units=4 * width,
        num_blocks=layers,
        macaron_style=True,
        rel_pos_type="latest",
        cnn_module_kernel=31,
    )


class GreedyModel(torch.nn.Module):
    """An encoder and a CTC head, as far as greedy search needs them.

    Args:
        encoder: any ESPnet encoder.
        ctc: its head.
    """

    def __init__(self, encoder: torch.nn.Module, ctc: torch.nn.Module):
        super().__init__()
        self.encoder = encoder
        self.ctc = ctc

    def forward(self, feats, lens):
        """Best symbol of every frame: (B, T_in, F), (B,) -> (B, T)."""
        return self.ctc.argmax(self.encoder(feats, lens)[0])

    def skipping(self, feats, lens):
        """Best symbol of every kept frame, all in a row: -> (1, kept)."""
        encoded = self.encoder.encode_frames(feats, lens, self.ctc)
        return self.ctc.argmax(encoded.states[encoded.kept].unsqueeze(0))


def utterances(seconds, seed: int = 0):
    """Random features for utterances of given lengths: (B, T, F), lengths (B,)."""
    generator = torch.Generator().manual_seed(seed)
    lens = torch.tensor([int(100 * s) for s in seconds])
    feats = torch.randn(len(lens), int(lens.max()), FEATURES, generator=generator)
    return feats, lens


class Scripted:
    """Mix-in for a head whose gate keeps as many frames as it is told to.

    The frames to keep come in runs of ``run`` frames, evenly spread, as spikes do in
    speech. The head's own blank posterior is computed too, for its time. Set
    ``keep_ratio`` before encoding.
    """

    keep_ratio = 0.3
    run = 3

    def blank_logp(self, hs_pad):
        """Log-probability of blank (B, T): 0 on frames to skip, -10 on the others."""
        own = self.own_blank_logp(hs_pad)
        time = torch.arange(own.size(1), device=own.device)
        period = self.run / self.keep_ratio
        spike = torch.remainder(time.float(), period) < self.run
        return torch.where(spike, -10.0, 0.0).expand_as(own)


class ScriptedCTC(Scripted, FactorizedCTC):
    """A factorized head with scripted gate: one dot product per frame."""

    def own_blank_logp(self, hs_pad):
        """What the head itself thinks of blank: (B, T, D) -> (B, T)."""
        return FactorizedCTC.blank_logp(self, hs_pad)


class ScriptedPlainCTC(Scripted, CTC):
    """ESPnet's head with scripted gate: reads the whole vocabulary on every frame."""

    def own_blank_logp(self, hs_pad):
        """What the head itself thinks of blank: (B, T, D) -> (B, T)."""
        return self.log_softmax(hs_pad)[..., 0]


def scripted_ctc(
    width: int,
    keep_ratio: float,
    vocabulary: int = VOCABULARY,
    factorized: bool = True,
) -> Scripted:
    """A seeded head with a scripted gate for encoders of the given width."""
    torch.manual_seed(1)
    ctc = (ScriptedCTC if factorized else ScriptedPlainCTC)(vocabulary, width)
    ctc.keep_ratio = keep_ratio
    return ctc


@torch.no_grad()
def splitting_ctc(encoder, feats, lens) -> FactorizedCTC:
    """A small head, not scripted, with which a gate keeps about a fifth of the frames.

    Args:
        encoder: an encoder with a gate, in eval mode.
        feats, lens: the batch (B, T_in, F), (B,).
    """
    ctc = FactorizedCTC(odim=8, encoder_output_size=encoder.output_size())
    ctc = ctc.to(feats.dtype).eval()
    stage1 = encoder.encode_frames(feats, lens, mode="intermediate").states
    odds = torch.nn.functional.linear(stage1, ctc.ctc_lo.weight[:1]).flatten()
    ctc.ctc_lo.bias[0] = 3.0 - odds.quantile(0.2)
    return ctc
