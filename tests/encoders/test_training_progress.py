"""Warm-ups: what counts as a training batch, and what carries the count along."""

import copy
import logging

import pytest
import torch
from tiny_encoders import make_ctc, make_encoder, make_feats, make_stock
from tiny_models import make_batch, make_model

from espnet_blankskip.encoders.training_progress import computing_loss

ARCHITECTURES = {"cnn": {}, "no_cnn": dict(use_cnn_module=False)}
FLOAT = dict(dtype=torch.float32)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    """Encoder options; without convolutions there is no batch norm to count."""
    return ARCHITECTURES[request.param]


def train(model, batches, accumulate=1):
    """Train a model for some batches."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    for number in range(1, batches + 1):
        model.train()(**make_batch())[0].backward()
        if number % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
    return model


def saved(model, path):
    """What ESPnet writes as `checkpoint.pth`, read back."""
    torch.save({"model": model.state_dict()}, path)
    return torch.load(path, weights_only=True)["model"]


def test_a_resumed_training_goes_on_counting(architecture, tmp_path):
    trained = train(make_model(encoder=architecture), 3)
    resumed = make_model(encoder=architecture)
    resumed.load_state_dict(saved(trained, tmp_path / "checkpoint.pth"))
    assert resumed.encoder.training_steps == 3
    assert train(resumed, 2).encoder.training_steps == 5


@pytest.mark.parametrize("mismatch", [True, False], ids=["ignore_mismatch", "strict"])
def test_init_param_starts_a_training_of_its_own(architecture, tmp_path, mismatch):
    from espnet2.torch_utils.load_pretrained_model import load_pretrained_model

    trained = train(make_model(encoder=architecture), 3)
    torch.save(trained.state_dict(), tmp_path / "valid.loss.best.pth")
    model = make_model(encoder=architecture, kd_weight=1.0, kd_warmup_steps=2)
    load_pretrained_model(str(tmp_path / "valid.loss.best.pth"), model, mismatch)
    assert model.encoder.training_steps == 0
    assert model.ctc.ctc_lo.weight.equal(trained.ctc.ctc_lo.weight)


def test_weights_of_a_stock_encoder_bring_no_count():
    stock = make_stock(**FLOAT)
    for layer in stock.encoders:
        layer.conv_module.norm.num_batches_tracked += 10_000
    encoder = make_encoder(gate_layers=[2], **FLOAT)
    encoder.load_state_dict(stock.state_dict())
    assert encoder.training_steps == 0


def test_the_count_adds_no_key_to_the_weights():
    encoder = make_encoder(gate_layers=[2], **FLOAT)
    assert encoder.state_dict().keys() == make_stock(**FLOAT).state_dict().keys()
    make_stock(**FLOAT).load_state_dict(encoder.state_dict(), strict=True)


def test_an_average_swapped_in_for_validation_does_not_turn_the_count_back():
    model = make_model()
    average = copy.deepcopy(model)
    train(model, 2)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(average.state_dict())
    model.load_state_dict(own)
    assert model.encoder.training_steps == 2


def test_only_batches_that_train_count():
    model = train(make_model(), 4, accumulate=2)
    assert model.encoder.training_steps == 4, "accumulated batches count one by one"
    with torch.no_grad():
        model.train()(**make_batch())
        model.eval()(**make_batch())
    model.eval()(**make_batch())
    model.encode_frames(make_batch()["speech"], make_batch()["speech_lengths"])
    assert model.encoder.training_steps == 4


def test_copies_for_several_gpus_count_for_the_model():
    """DataParallel trains copies that it throws away after each batch."""
    encoder = make_encoder(gate_layers=[2], **FLOAT).train()
    feats, lens = make_feats(40, 40, **FLOAT)
    copied = encoder._replicate_for_data_parallel()
    copied(feats, lens, ctc=make_ctc(**FLOAT))
    assert encoder.training_steps == 1


def test_lightning_resumes_the_count_and_leaves_validation_out(tmp_path):
    lightning = pytest.importorskip("lightning")

    class Recognizer(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = make_model(encoder=dict(use_cnn_module=False))

        def training_step(self, batch):
            return self.model(**batch)[0]

        def validation_step(self, batch):
            self.model(**batch)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-4)

    def fit(epochs, **options):
        module = Recognizer()
        loaders = [
            torch.utils.data.DataLoader([make_batch()] * 4, batch_size=None)
            for _ in range(2)
        ]
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            accumulate_grad_batches=2,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(module, *loaders, **options)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return module.model.encoder.training_steps

    assert fit(1) == 4
    assert fit(2, ckpt_path=tmp_path / "last.ckpt") == 8


def test_the_log_says_when_a_warm_up_ends(caplog):
    model = make_model(
        encoder=dict(skip_warmup_steps=2), kd_weight=1.0, kd_warmup_steps=3
    )
    with caplog.at_level(logging.INFO):
        train(model, 5)
    said = [r.message for r in caplog.records if "warmup_steps" in r.message]
    assert said == [
        "skip_warmup_steps=2 batches are over: training skips layers now",
        "kd_warmup_steps=3 batches are over",
    ]


def test_every_process_skips_in_the_same_batches():
    """Whatever its own random numbers are."""

    def draws(seed):
        torch.manual_seed(seed)
        encoder = make_encoder(seed, gate_layers=[2], train_skip=0.5, **FLOAT)
        skipped = []
        for _ in range(40):
            skipped.append(encoder.train()._skips_this_batch())
            encoder._count_batch()
        return skipped

    assert draws(0) == draws(1)
    assert 10 < sum(draws(0)) < 30


@pytest.mark.parametrize(
    "options, want",
    [
        (dict(train_skip=False), [False, False, False]),
        (dict(skip_warmup_steps=2), [False, False, True]),
        (dict(train_skip=0.5), [True, True, True]),
    ],
    ids=["train_skip_false", "warm_up", "probability"],
)
def test_validation_skips_once_training_does(options, want):
    model = make_model(encoder=options)
    dense = make_model()
    dense.encoder.set_gate(blank_threshold=1.5)
    skipped = []
    for _ in range(3):
        dense.load_state_dict(model.state_dict())
        with torch.no_grad():
            loss, stats, _ = model.eval()(**make_batch())
            unskipped, _, _ = dense.eval()(**make_batch())
        skipped.append(loss.item() != unskipped.item())
        assert 0 < stats["kept_ratio"] < 1, "what the gate would keep is still told"
        train(model, 1)
    assert skipped == want


def test_decoding_skips_whatever_the_training_was():
    encoder = make_encoder(gate_layers=[2], train_skip=False, **FLOAT)
    feats, lens = make_feats(80, **FLOAT)
    ctc = make_ctc(**FLOAT)
    ctc.ctc_lo.bias.data[0] += 40.0
    want = encoder.encode_frames(feats, lens, ctc).states
    dense = encoder.encode_frames(feats, lens, ctc, "dense").states
    with torch.no_grad():
        assert encoder(feats, lens, ctc=ctc)[0][0].equal(want)
        with computing_loss():
            assert encoder(feats, lens, ctc=ctc)[0][0].equal(dense)
