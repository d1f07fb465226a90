"""`return_all_hs` means one thing for every encoder with gates."""

import pytest
import torch
from encoder_contract import build
from tiny_encoders import OPTIONS_OF, make_ctc, make_feats

from espnet_blankskip.encoders import ENCODERS
from espnet_blankskip.upstream import stock_encoder


@pytest.mark.parametrize("train_skip", [True, False])
@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_states_after_every_layer_of_the_dense_encoder(name, train_skip):
    gated = dict(OPTIONS_OF[name], gate_layers=[2], interctc_layer_idx=[3])
    ours = build(
        ENCODERS[name], dict(gated, train_skip=train_skip), dtype=torch.float32
    )
    stock_class = stock_encoder(name.replace("blankskip_", ""))
    theirs = build(stock_class, OPTIONS_OF[name], dtype=torch.float32)
    theirs.load_state_dict(ours.state_dict())
    feats, lens = make_feats(83, dtype=torch.float32)
    ctc = make_ctc(dtype=torch.float32)
    ctc.ctc_lo.bias[0] += 40.0  # every frame would leave at the gate
    (got, inside), _, _ = ours(feats, lens, ctc=ctc, return_all_hs=True)
    (want, want_inside), _, _ = theirs(feats, lens, return_all_hs=True)
    assert got.equal(want)
    assert len(inside) == len(want_inside) == 5
    assert all(ours.equal(stock) for ours, stock in zip(inside, want_inside))
