"""Small encoders and CTC heads with random weights, whose gates really split frames."""

import torch

from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.upstream import CTC, ConformerEncoder

FEATS, WIDTH, VOCAB = 20, 16, 6
FRAME_WISE = 3.0

OPTIONS = dict(
    input_size=FEATS,
    output_size=WIDTH,
    attention_heads=2,
    linear_units=24,
    num_blocks=5,
    dropout_rate=0.0,
    positional_dropout_rate=0.0,
    rel_pos_type="latest",
    macaron_style=True,
    cnn_module_kernel=5,
)
_COMMON = ("input_size", "output_size", "attention_heads", "linear_units", "num_blocks")
_COMMON += ("dropout_rate", "positional_dropout_rate")
_COMMON = {name: OPTIONS[name] for name in _COMMON}
# the same sizes for every encoder of the ASR task
OPTIONS_OF = {
    "blankskip_conformer": OPTIONS,
    "blankskip_e_branchformer": dict(
        _COMMON,
        cgmlp_linear_units=24,
        cgmlp_conv_kernel=5,
        use_ffn=True,
        macaron_ffn=True,
    ),
    "blankskip_transformer": _COMMON,
}


def make_encoder(seed=0, dtype=torch.float64, **options):
    """A blankskip encoder in eval mode."""
    torch.manual_seed(seed)
    encoder = BlankSkipConformerEncoder(**{**OPTIONS, **options})
    return _settle(encoder).to(dtype)


def make_stock(seed=0, dtype=torch.float64, **options):
    """ESPnet's encoder with the weights that ``make_encoder`` would draw."""
    torch.manual_seed(seed)
    return _settle(ConformerEncoder(**{**OPTIONS, **options})).to(dtype)


def make_ctc(factorized=False, seed=7, dtype=torch.float64):
    """A head whose blank posterior varies much from frame to frame."""
    torch.manual_seed(seed)
    ctc = (FactorizedCTC if factorized else CTC)(VOCAB, WIDTH)
    with torch.no_grad():
        ctc.ctc_lo.weight.mul_(3.0)
        ctc.ctc_lo.bias[0] += 0.3 if factorized else 2.0
    return ctc.to(dtype).eval()


def make_feats(*lens, seed=3, dtype=torch.float64, width=FEATS):
    """A padded batch (B, T_in, F) and its lengths (B,)."""
    torch.manual_seed(seed)
    feats = torch.zeros(len(lens), max(lens), width, dtype=dtype)
    for row, length in zip(feats, lens):
        row[:length] = torch.randn(length, width, dtype=dtype)
    return feats, torch.tensor(lens)


def splitting_ctc(encoder, feats, feats_lens, factorized=False):
    """A head with which every gate lets some frames leave and some go on."""
    everywhere = {*encoder.gate_layers, encoder.num_blocks}
    for seed in range(60):
        ctc = make_ctc(factorized, seed, feats.dtype)
        skip_share(encoder, feats, feats_lens, ctc, share=0.5 + 0.1 * (seed % 4))
        with torch.no_grad():
            depth = encoder.encode_frames(feats, feats_lens, ctc).depth
        if set(depth[depth > 0].tolist()) == everywhere:
            return ctc
    raise AssertionError("no random head makes every gate split these frames")


def skip_share(encoder, feats, feats_lens, ctc, share):
    """Move the blank bias so that this share of the frames is above the threshold."""
    with torch.no_grad():
        encoded = encoder.encode_frames(feats, feats_lens, ctc, "intermediate")
        blank = ctc.softmax(encoded.states)[encoded.depth > 0][:, 0].logit().sort()[0]
        place = int(len(blank) * (1 - share))
        wanted = torch.tensor(encoder.blank_threshold).logit()
        ctc.ctc_lo.bias[0] += wanted - (blank[place - 1] + blank[place]) / 2


def _settle(encoder):
    """Strong layers, and batch norm statistics that are not zeros and ones."""
    generator = torch.Generator().manual_seed(11)
    for name, module in encoder.encoders.named_modules():
        if name.endswith(("w_1", "w_2")) and hasattr(module, "weight"):
            # layers that change each frame a lot give a second gate something to do
            module.weight.data.mul_(FRAME_WISE)
        if isinstance(module, torch.nn.BatchNorm1d):
            size = module.running_mean.shape
            module.running_mean.copy_(0.3 * torch.randn(size, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(size, generator=generator))
    return encoder.eval()
