"""Automatic mixed precision (`use_amp`): half-precision layers, exact probabilities."""

import pytest
import torch
from tiny_models import make_batch, make_model

from espnet_blankskip import cpu_autocast
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


class Frontend(torch.nn.Module):
    """A front-end of one product, as a filter bank is; notes what it gives."""

    def __init__(self):
        super().__init__()
        self.given = []

    def forward(self, speech, lens):
        feats = speech @ torch.eye(speech.size(-1))
        self.given.append(feats.dtype)
        return feats, lens


def types_of_products(model, step):
    """Types that the linear layers of the encoder give in one step."""
    found = set()
    hooks = [
        module.register_forward_hook(lambda m, i, out: found.add(out.dtype))
        for module in model.encoder.modules()
        if isinstance(module, torch.nn.Linear)
    ]
    result = step()
    for hook in hooks:
        hook.remove()
    return found, result


@pytest.mark.parametrize("name", MODELS)
def test_cpu_autocast_trains_the_encoder_in_bfloat16_and_nothing_else(
    name, monkeypatch
):
    monkeypatch.setattr(cpu_autocast, "has_bfloat16", lambda device: True)
    options = MODELS[name]
    want, _, _ = train_step(distilling_model("cpu", **options), "cpu", None)
    model = distilling_model("cpu", cpu_autocast="bfloat16", **options)
    model.frontend = Frontend()
    found, (loss, _, grads) = types_of_products(
        model, lambda: train_step(model, "cpu", None)
    )
    assert torch.bfloat16 in found
    assert loss != want and loss == pytest.approx(want, rel=0.02)
    assert {grad.dtype for grad in grads.values()} == {torch.float32}
    encoded, _ = model.encode(*list(make_batch().values())[:2])
    states = [encoded] if torch.is_tensor(encoded) else [encoded[0]]
    assert {h.dtype for h in states} == set(model.frontend.given) == {torch.float32}
    model.eval()
    found, (loss, _, _) = types_of_products(
        model, lambda: train_step(model, "cpu", None)
    )
    assert found == {torch.float32}


def test_cpu_autocast_is_left_out_and_said_where_it_would_be_emulated(
    monkeypatch, caplog
):
    monkeypatch.setattr(cpu_autocast, "has_bfloat16", lambda device: False)
    model = make_model(cpu_autocast="bfloat16")
    assert "cpu_autocast=bfloat16 has no effect: the processor" in caplog.text
    found, _ = types_of_products(model, lambda: train_step(model, "cpu", None))
    assert found == {torch.float32}
    with pytest.raises(ValueError, match="cpu_autocast=float16 must be bfloat16 or"):
        make_model(cpu_autocast="float16")
