"""A gate with a head of its own, for bodies that no intermediate CTC has trained."""

import pytest
import torch
from tiny_encoders import make_ctc, make_encoder, make_feats
from tiny_models import make_batch, make_model

OWN = dict(gate_layers=[2], gate_head="own", spike_extension=0)


def splitting_gate(encoder, feats, lens, ctc):
    """Move the gate's bias so that about half of the frames leave."""
    with torch.no_grad():
        encoder.gate.linear.weight.mul_(5.0)
        logp = encoder.encode_frames(feats, lens, ctc).blank_logp
        threshold = torch.tensor(encoder.blank_threshold).logit()
        encoder.gate.linear.bias += threshold - logp.exp().logit().median()


def test_a_frame_it_skips_comes_out_as_the_blank_state():
    encoder = make_encoder(**OWN)
    feats, lens = make_feats(90)
    ctc = make_ctc()
    torch.nn.init.normal_(encoder.blank_state)
    splitting_gate(encoder, feats, lens, ctc)
    encoded = encoder.encode_frames(feats, lens, ctc)
    assert 0 < encoded.kept.sum() < encoded.lens.sum()
    left = encoded.states[~encoded.kept]
    assert left.equal(encoder.blank_state.expand_as(left))
    assert not encoded.intermediate  # its layer has no CTC to read


def test_the_body_keeps_every_stock_name():
    own = make_encoder(**OWN).state_dict().keys()
    stock = make_encoder(gate_layers=[2]).state_dict().keys()
    assert own - stock == {
        "blank_state",
        "gate.norm.weight",
        "gate.norm.bias",
        "gate.linear.weight",
        "gate.linear.bias",
    }
    assert stock <= own


def test_stopping_at_the_gate_is_refused():
    encoder = make_encoder(**OWN)
    feats, lens = make_feats(60)
    with pytest.raises(ValueError, match="mode=intermediate needs gate_head=ctc"):
        encoder.encode_frames(feats, lens, make_ctc(), "intermediate")


@pytest.mark.parametrize("bias", [-50.0, 50.0], ids=["keeps_all", "keeps_none"])
@pytest.mark.parametrize("warmup", [0, 10**6], ids=["teaching", "waiting"])
def test_every_parameter_gets_a_gradient(bias, warmup):
    model = make_own_gate_model(kd_warmup_steps=warmup)
    model.encoder.gate.linear.bias.data.fill_(bias)
    loss, stats, _ = model(**make_batch())
    loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert stats["loss_kd"] > 0
    assert bool(model.encoder.gate.linear.weight.grad.any()) == (warmup == 0)


def test_with_a_frozen_body_only_the_gate_learns_and_the_body_stays():
    model = make_own_gate_model()
    trained = ("encoder.gate.", "encoder.blank_state")
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(trained)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1
    )
    for _ in range(2):
        optimizer.zero_grad()
        model(**make_batch())[0].backward()
        optimizer.step()
    changed = {n for n, t in model.state_dict().items() if not t.equal(before[n])}
    assert changed and all(name.startswith(trained) for name in changed)


def make_own_gate_model(**options):
    """A model whose gate has a head of its own and learns from the final layer."""
    fixed = dict(encoder=OWN, interctc_weight=0.0, kd_weight=1.0, split_gate=False)
    return make_model(**{**fixed, **options})


def test_the_watch_never_holds_back_the_only_teacher_of_the_gate():
    """Even where the final layer is the worse of the two for labels."""
    model = make_model(
        encoder=dict(OWN, interctc_layer_idx=[3]), kd_weight=1.0, split_gate=False
    )
    model._teacher_watch.update(2.0, 1.0)
    model._teacher_watch.decay = 1.0
    loss, stats, _ = model(**make_batch())
    loss.backward()
    assert "loss_interctc_layer3" in stats
    assert model.encoder.gate.linear.weight.grad.any()


@pytest.mark.parametrize("skip_warmup, kd_warmup", [(0, 2), (3, 1), (0, 0)])
def test_no_frame_is_skipped_before_anything_teaches_the_gate(skip_warmup, kd_warmup):
    model = make_own_gate_model(
        kd_warmup_steps=kd_warmup, encoder=dict(OWN, skip_warmup_steps=skip_warmup)
    )
    model.encoder.gate.linear.bias.data.fill_(50.0)  # everything would leave
    torch.nn.init.normal_(model.encoder.blank_state)
    skipped = []
    for _ in range(4):
        states, _ = model.encode(make_batch()["speech"], make_batch()["speech_lengths"])
        skipped.append(bool(states[0, 0].equal(model.encoder.blank_state)))
    assert skipped == [n >= max(skip_warmup, kd_warmup) for n in range(4)]
