"""Automatic mixed precision (`use_amp`): half-precision layers, exact probabilities."""

import pytest
import torch
from tiny_models import make_batch, make_model

from espnet_blankskip.encoders import skipping

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
PLACES = [
    pytest.param("cpu", torch.bfloat16, id="cpu"),
    pytest.param("cuda", torch.bfloat16, id="cuda", marks=NEEDS_GPU),
    pytest.param("cuda", torch.float16, id="cuda_half", marks=NEEDS_GPU),
]
MODELS = {
    "plain": dict(kd_weight=0.5),
    "factorized_two_gates": dict(
        factorized_ctc=True, kd_weight=0.5, encoder=dict(gate_layers=[2, 4])
    ),
    "all_context": dict(kd_weight=0.5, encoder=dict(attn_context="all")),
    "zero_context": dict(kd_weight=0.5, encoder=dict(conv_context="zero")),
    "own_gate": dict(
        kd_weight=0.5,
        interctc_weight=0.0,
        split_gate=False,
        encoder=dict(gate_head="own", blank_threshold=0.5),
    ),
}


def distilling_model(device, **options):
    model = make_model(**options).to(device)
    model._teacher_watch.update(1.0, 2.0)  # the teacher is the better one
    return model


def train_step(model, device, dtype):
    """Loss, stats and gradients of one batch; in single precision without a dtype."""
    batch = {name: values.to(device) for name, values in make_batch().items()}
    with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
        loss, stats, _ = model(**batch)
    loss.sum().backward()
    return loss.item(), stats, {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("device, dtype", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_are_those_of_single_precision(device, dtype, name):
    want_loss, want, want_grads = train_step(
        distilling_model(device, **MODELS[name]), device, None
    )
    loss, stats, grads = train_step(
        distilling_model(device, **MODELS[name]), device, dtype
    )
    assert 0 < want["kept_ratio"] < 1
    assert stats["kept_ratio"].item() == pytest.approx(
        want["kept_ratio"].item(), abs=0.05
    )
    assert loss == pytest.approx(want_loss, rel=0.02)
    assert stats["loss_kd"].item() == pytest.approx(want["loss_kd"].item(), rel=0.1)
    missing = [n for n, grad in grads.items() if grad is None]
    assert not missing
    got = torch.cat([grad.flatten() for grad in grads.values()])
    wanted = torch.cat([grad.flatten() for grad in want_grads.values()])
    assert torch.cosine_similarity(got, wanted, dim=0) > 0.99


@pytest.mark.parametrize("device, dtype", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_gate_and_ctc_loss_read_single_precision(device, dtype, name, monkeypatch):
    model = distilling_model(device, **MODELS[name])
    gate, loss = [], []

    def watched(blank_logp, *rest):
        gate.append(blank_logp.dtype)
        return keep_frames(blank_logp, *rest)

    keep_frames = skipping.keep_frames
    monkeypatch.setattr(skipping, "keep_frames", watched)
    model.ctc.ctc_loss.register_forward_pre_hook(
        lambda module, inputs: loss.append(inputs[0].dtype)
    )
    train_step(model, device, dtype)
    assert len(gate) == len(model.encoder.gate_layers)
    assert loss and set(gate + loss) == {torch.float32}


@pytest.mark.parametrize("device, dtype", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_that_keeps_nothing_gives_finite_gradients(device, dtype, name):
    model = distilling_model(device, **MODELS[name])
    model.encoder.blank_threshold = 1e-30
    loss, stats, grads = train_step(model, device, dtype)
    assert stats["kept_ratio"] == 0
    assert torch.tensor(loss).isfinite()
    broken = [n for n, g in grads.items() if g is None or not g.isfinite().all()]
    assert not broken
