"""ESPnet's `quantize_asr_model: true` on skipping encoders and factorized heads."""

import pytest
import torch
from encoder_contract import build
from tiny_encoders import OPTIONS_OF, make_feats, splitting_ctc

from espnet_blankskip.encoders import ENCODERS


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_quantized_to_int8_it_still_skips(name, factorized):
    options = dict(OPTIONS_OF[name], gate_layers=[2], attn_context="all")
    encoder = build(ENCODERS[name], options, dtype=torch.float32)
    feats, lens = make_feats(83, dtype=torch.float32)
    ctc = splitting_ctc(encoder, feats, lens, factorized)
    want = encoder.encode_frames(feats, lens, ctc)
    model = torch.nn.ModuleList([encoder, ctc])
    if torch.backends.quantized.engine == "none":
        pytest.skip("this build of PyTorch has no quantized arithmetic")
    quantized = torch.ao.quantization.quantize_dynamic(
        model, qconfig_spec={torch.nn.Linear}, dtype=torch.qint8
    )
    got = quantized[0].encode_frames(feats, lens, quantized[1])
    assert set(got.depth.unique().tolist()) == {2, 5}
    assert (got.depth != want.depth).float().mean() < 0.25
    assert (got.blank_logp - want.blank_logp).abs().mean() < 0.2
    if factorized:
        labels = quantized[1].label_logp(got.states)
        torch.testing.assert_close(labels.exp().sum(-1), torch.ones(labels.shape[:-1]))
