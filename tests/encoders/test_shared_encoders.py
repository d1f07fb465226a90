"""Threads that share an encoder get what each would get alone."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from encoder_contract import build
from tiny_encoders import OPTIONS, OPTIONS_OF, make_ctc, make_feats

from espnet_blankskip.encoders import (
    BlankSkipConformerEncoder,
    BlankSkipEBranchformerEncoder,
)

BRANCHES = OPTIONS_OF["blankskip_e_branchformer"]
CONV = dict(pos_enc_layer_type="conv", attention_layer_type="selfattn")
CASES = {
    "convolutional_positions": (
        BlankSkipEBranchformerEncoder,
        dict(BRANCHES, gate_layers=[2], **CONV),
    ),
    "attention": (BlankSkipConformerEncoder, dict(OPTIONS, gate_layers=[2])),
    "gate_of_its_own": (
        BlankSkipConformerEncoder,
        dict(OPTIONS, gate_layers=[2], gate_head="own", blank_threshold=0.5),
    ),
}


@pytest.fixture
def hasty():
    """Threads change places as often as Python lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("encoder_class, options", CASES.values(), ids=CASES)
def test_each_thread_gets_its_own_result(encoder_class, options, hasty):
    encoder = build(encoder_class, options)
    ctc = make_ctc()
    batches = [make_feats(60 + 9 * i, 40 + 3 * i, seed=i) for i in range(4)]

    def encode(number):
        with torch.no_grad():
            return encoder.encode_frames(*batches[number], ctc)

    alone = [encode(number) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        numbers = [i % 4 for i in range(80)]
        together = list(threads.map(encode, numbers))
    wrong = [
        number
        for number, got in zip(numbers, together)
        if got.states.shape != alone[number].states.shape
        or not torch.allclose(got.states, alone[number].states, atol=1e-9)
    ]
    assert not wrong
