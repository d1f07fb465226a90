"""`model: blankskip`: losses, stats, distillation and what it refuses."""

import gc
import logging
import weakref

import pytest
import torch
from tiny_models import VOCAB, WIDTH, make_batch, make_model

from espnet_blankskip.distillation import factorized_kl, plain_kl
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.upstream import ESPnetASRModel

REFUSED = {
    "kd_weight": (dict(kd_weight=-0.1), "kd_weight=-0.1 must be >= 0"),
    "kd_temperature": (
        dict(kd_weight=1.0, kd_temperature=0.0),
        "kd_temperature=0.0 must be > 0",
    ),
    "kd_frames": (dict(kd_frames="blank"), "kd_frames=blank.*all, kept, symmetric"),
    "kd_warmup_steps": (dict(kd_warmup_steps=-1), "kd_warmup_steps=-1 must be >= 0"),
    "kd_without_gate": (
        dict(kd_weight=1.0, encoder=dict(gate_layers=[])),
        "kd_weight.*gate_layers",
    ),
    "ctc_type": (
        dict(factorized_ctc=True, ctc_conf=dict(ctc_type="builtin2")),
        "factorized_ctc.*ctc_type",
    ),
}


@pytest.mark.parametrize("options, message", REFUSED.values(), ids=REFUSED)
def test_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)


@pytest.mark.parametrize(
    "options",
    [{}, dict(encoder=dict(gate_layers=[]), factorized_ctc=True)],
    ids=["gates", "factorized_ctc"],
)
def test_without_a_ctc_it_is_refused(options):
    with pytest.raises(ValueError, match="ctc_weight=0 leaves no CTC"):
        make_model(decoder=attention_decoder(), ctc_weight=0.0, **options)


def attention_decoder():
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder

    return TransformerDecoder(
        VOCAB, WIDTH, attention_heads=2, linear_units=8, num_blocks=1
    )


def train_steps(model, steps, batch=None):
    """Train on one batch; return loss and stats of each step."""
    batch = batch or make_batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    history = []
    for _ in range(steps):
        loss, stats, _ = model(**batch)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        history.append((loss.item(), {k: v for k, v in stats.items()}))
    return history


def test_stats_hold_every_term_and_the_kept_ratio():
    model = make_model(factorized_ctc=True, kd_weight=0.5)
    _, stats = train_steps(model, 1)[0]
    names = {"loss", "loss_ctc", "loss_interctc_layer2", "kept_ratio"}
    assert names | {"loss_kd", "loss_kd_blank", "loss_kd_label"} <= set(stats)
    kept = model.encoder.last_kept
    kept_ratio = int(kept.sum()) / (29 + 19)
    assert 0 < kept_ratio < 1
    assert stats["kept_ratio"].item() == pytest.approx(kept_ratio)
    parts = stats["loss_kd_blank"] + stats["loss_kd_label"]
    torch.testing.assert_close(stats["loss_kd"], parts)


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_total_loss_is_the_sum_of_its_terms(factorized, temperature):
    model = make_model(
        factorized_ctc=factorized, kd_weight=0.5, kd_temperature=temperature
    )
    model._teacher_watch.update(1.0, 2.0)
    model._teacher_watch.decay = 1.0  # keep the teacher the better one
    batch = make_batch()
    loss, stats, _ = model(**batch)
    want = (
        0.7 * stats["loss_ctc"]
        + 0.3 * stats["loss_interctc_layer2"]
        + 0.5 * stats["loss_kd"]
    )
    torch.testing.assert_close(loss.detach(), want)
    torch.testing.assert_close(stats["loss"], want)


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
def test_distillation_is_the_divergence_over_valid_frames(factorized):
    model = make_model(factorized_ctc=factorized, kd_weight=0.5).eval()
    batch = make_batch()
    with torch.no_grad():
        _, stats, _ = model(**batch)
        (final, intermediate), lens = model.encode(
            batch["speech"], batch["speech_lengths"]
        )
        student = intermediate[0][1]
        want = 0.0
        for b, length in enumerate(lens):
            z = [model.ctc.ctc_lo(h[b, :length]) for h in (final, student)]
            kl = sum(factorized_kl(*z)) if factorized else plain_kl(*z)
            want += kl.sum().item() / len(lens)
    assert want > 0
    assert stats["loss_kd"].item() == pytest.approx(want, rel=1e-5)


def test_validation_loss_leaves_distillation_out_but_reports_it():
    losses = {}
    for weight in (0.0, 5.0):
        model = make_model(kd_weight=weight).eval()
        model._teacher_watch.update(1.0, 2.0)
        with torch.no_grad():
            loss, stats, _ = model(**make_batch())
        losses[weight] = loss.item()
    assert losses[0.0] == losses[5.0]
    assert stats["loss_kd"].item() > 0


def test_distillation_teaches_the_gate_layer_only_through_the_student():
    """The final layers are the teacher: no gradient of L_KD may reach them."""
    model = make_model(kd_weight=1.0, encoder=dict(train_skip=False))
    batch = make_batch()
    (final, intermediate), lens = model.encode(batch["speech"], batch["speech_lengths"])
    terms = model._distillation_terms(final, intermediate, lens)
    terms["loss_kd"].backward()
    layers = model.encoder.encoders
    assert all(p.grad is None for layer in layers[2:] for p in layer.parameters())
    assert all(p.grad is not None for layer in layers[:2] for p in layer.parameters())


def distils(history):
    """For each step, whether distillation was in the loss (interctc_weight 0.3)."""
    return [
        abs(
            loss
            - 0.7 * stats["loss_ctc"].item()
            - 0.3 * stats["loss_interctc_layer2"].item()
        )
        > 1e-4
        for loss, stats in history
    ]


def test_distillation_starts_after_its_warmup():
    model = make_model(kd_weight=5.0, kd_warmup_steps=3)
    model._teacher_watch.update(1.0, 2.0)
    model._teacher_watch.decay = 1.0
    assert distils(train_steps(model, 5)) == [False, False, False, True, True]


def test_distillation_waits_for_a_better_teacher_and_says_so(caplog):
    model = make_model(kd_weight=5.0)
    model._teacher_watch.decay = 1.0
    with caplog.at_level(logging.INFO):
        model._teacher_watch.update(2.0, 1.0)
        assert distils(train_steps(model, 2)) == [False, False]
        model._teacher_watch.update(1.0, 2.0)
        model._teacher_watch.means[0] = 0.5
        assert distils(train_steps(model, 2)) == [True, True]
    said = [r.message for r in caplog.records if r.message.startswith("distillation")]
    assert len(said) == 2, "once for each change"
    assert "waits" in said[0] and "final CTC loss 2.000, intermediate 1.000" in said[0]
    assert "runs" in said[1]


def test_a_gate_that_nothing_teaches_is_warned_about(caplog):
    make_model(interctc_weight=0.0)
    assert any("nothing teaches the gate" in r.message for r in caplog.records)


@pytest.mark.parametrize("ctc_weight", [0.3, 0.7])
def test_hybrid_attention_training(ctc_weight):
    model = make_model(
        decoder=attention_decoder(),
        ctc_weight=ctc_weight,
        factorized_ctc=True,
        kd_weight=0.5,
    )
    model._teacher_watch.update(1.0, 2.0)
    model._teacher_watch.decay = 1.0
    loss, stats, _ = model(**make_batch())
    ctc = 0.7 * stats["loss_ctc"] + 0.3 * stats["loss_interctc_layer2"]
    want = ctc_weight * (ctc + 0.5 * stats["loss_kd"])
    want = want + (1 - ctc_weight) * stats["loss_att"]
    torch.testing.assert_close(loss.detach(), want)
    loss.sum().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert not missing


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
@pytest.mark.parametrize("kd_frames", ["all", "kept", "symmetric"])
def test_training_moves_every_parameter(factorized, kd_frames):
    model = make_model(factorized_ctc=factorized, kd_weight=0.5, kd_frames=kd_frames)
    history = train_steps(model, 3)
    for loss, stats in history:
        assert torch.tensor(loss).isfinite()
        assert 0 < stats["kept_ratio"] < 1
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert not missing


def test_factorized_ctc_is_chosen_by_the_model():
    assert isinstance(make_model(factorized_ctc=True).ctc, FactorizedCTC)
    assert not isinstance(make_model().ctc, FactorizedCTC)


def test_stock_espnet_model_skips_too():
    """ESPnet's own model hands its CTC to the encoder, so decoding skips there."""
    stock = make_model(model_class=ESPnetASRModel).eval()
    ours = make_model().eval()
    batch = make_batch()
    # one utterance: in a batch ESPnet's STFT lets padding into the last frames
    inputs = batch["speech"][:1], batch["speech_lengths"][:1]
    with torch.no_grad():
        (states, _), lens = stock.encode(*inputs)
        encoded = ours.encode_frames(*inputs)
    assert 0 < int(encoded.kept.sum()) < int(lens.sum())
    assert states.equal(encoded.states)
    loss, stats, _ = stock.train()(**batch)
    loss.sum().backward()
    assert "kept_ratio" not in stats and loss.isfinite().all()


def test_modes_of_decoding_differ_in_depth_alone():
    model = make_model().eval()
    inputs = make_batch()
    inputs = inputs["speech"], inputs["speech_lengths"]
    with torch.no_grad():
        depths = {
            mode: model.encode_frames(*inputs, mode=mode).depth
            for mode in ("skipping", "dense", "intermediate")
        }
    assert set(depths["dense"].unique().tolist()) == {0, 5}
    assert set(depths["intermediate"].unique().tolist()) == {0, 2}
    assert set(depths["skipping"].unique().tolist()) == {0, 2, 5}


def test_decoding_takes_no_augmentation():
    class Loud(torch.nn.Module):
        def forward(self, feats, lens):
            raise AssertionError("specaug ran")

    model = make_model().eval()
    model.specaug = Loud()
    batch = make_batch()
    model.encode_frames(batch["speech"], batch["speech_lengths"])


@pytest.mark.parametrize("trained_as", ["plain", "factorized"])
def test_init_param_may_not_bring_a_plain_head_to_a_factorized_model(
    trained_as, tmp_path
):
    from espnet2.torch_utils.load_pretrained_model import load_pretrained_model

    trained = make_model(factorized_ctc=trained_as == "factorized")
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        trained(**make_batch())[0].backward()
        optimizer.step()
    torch.save(trained.state_dict(), tmp_path / "pretrained.pth")
    model = make_model(factorized_ctc=True)
    load_pretrained_model(str(tmp_path / "pretrained.pth"), model, False)
    if trained_as == "factorized":
        assert model(**make_batch())[0].isfinite()
        return
    with pytest.raises(ValueError, match="factorized_ctc=true cannot read"):
        model(**make_batch())
    model = make_model(factorized_ctc=True)
    torch.nn.init.normal_(model.ctc.ctc_lo.weight)  # not where the other one began
    load_pretrained_model(f"{tmp_path}/pretrained.pth:::ctc", model, False)
    assert model(**make_batch())[0].isfinite()


def test_encode_keeps_nothing_in_memory():
    model = make_model().eval()
    inputs = make_batch()["speech"], make_batch()["speech_lengths"]
    with torch.no_grad():
        (states, _), _ = model.encode(*inputs)
    held = weakref.ref(states)
    del states
    gc.collect()
    assert held() is None
