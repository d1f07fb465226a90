"""Models and inputs that the benchmarks share."""

import torch

from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.factorized_ctc import FactorizedCTC

VOCABULARY = 500
FEATURES = 80


def conformer(
    layers: int = 12, width: int = 256, heads: int = 4, gate: int = 6, **options
) -> BlankSkipConformerEncoder:
    """A seeded conformer of an ESPnet recipe's proportions, gated after ``gate``."""
    torch.manual_seed(0)
    return BlankSkipConformerEncoder(
        FEATURES,
        output_size=width,
        attention_heads=heads,
        linear_units=4 * width,
        num_blocks=layers,
        macaron_style=True,
        rel_pos_type="latest",
        cnn_module_kernel=31,
        interctc_layer_idx=[gate],
        gate_layers=[gate],
        **options,
    )


def utterances(seconds, seed: int = 0):
    """Random features for utterances of given lengths: (B, T, F), lengths (B,)."""
    generator = torch.Generator().manual_seed(seed)
    lens = torch.tensor([int(100 * s) for s in seconds])
    feats = torch.randn(len(lens), int(lens.max()), FEATURES, generator=generator)
    return feats, lens


class ScriptedCTC(FactorizedCTC):
    """A head whose blank posterior is set from outside, to fix the kept ratio.

    The frames to keep come in runs of ``run`` frames, evenly spread, as spikes do in
    speech. Set ``keep_ratio`` before encoding.
    """

    keep_ratio = 0.3
    run = 3

    def blank_logp(self, hs_pad):
        """Log-probability of blank (B, T): 0 on frames to skip, -10 on the others."""
        time = torch.arange(hs_pad.size(1), device=hs_pad.device)
        period = self.run / self.keep_ratio
        spike = torch.remainder(time.float(), period) < self.run
        return torch.where(spike, -10.0, 0.0).expand(hs_pad.size(0), -1)


def scripted_ctc(width: int, keep_ratio: float) -> ScriptedCTC:
    """A seeded :class:`ScriptedCTC` for encoders of the given width."""
    torch.manual_seed(1)
    ctc = ScriptedCTC(odim=VOCABULARY, encoder_output_size=width)
    ctc.keep_ratio = keep_ratio
    return ctc
