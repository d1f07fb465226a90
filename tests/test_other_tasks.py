"""In each other ESPnet task the encoders work, or the error says why they do not."""

import importlib
from argparse import Namespace

import pytest
import torch
from tiny_encoders import FEATS, OPTIONS, VOCAB

import espnet_blankskip
from espnet_blankskip.encoders import ENCODERS

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "<sos/eos>"]
SPECIAL = ["<na>", "<nospeech>", "<sop>", "<sos>", "<eos>"]
ENCODER_CONF = {k: v for k, v in OPTIONS.items() if k != "input_size"}
GATES = dict(gate_layers=[2], interctc_layer_idx=[2], spike_extension=0)
DECODER_CONF = dict(attention_heads=2, linear_units=16, num_blocks=1)
assert len(TOKENS) == VOCAB


@pytest.fixture(scope="module")
def tasks():
    """Modules by name; importing one of them takes as long as all of them."""
    espnet_blankskip.register()
    names = ("asr_transducer", "s2t", "slu", "st")
    return {name: importlib.import_module(f"espnet2.tasks.{name}") for name in names}


def build(task_class, encoder="blankskip_conformer", **changes):
    """A model that takes features, around an encoder whose gate lets frames go."""
    torch.manual_seed(0)
    config = dict(
        vars(task_class.get_parser().parse_args([])),
        token_list=TOKENS,
        input_size=FEATS,
        normalize=None,
        encoder=encoder,
        encoder_conf={**ENCODER_CONF, **GATES, **changes.pop("encoder_conf", {})},
        decoder="transformer",
        decoder_conf=DECODER_CONF,
        init=None,
    )
    model = task_class.build_model(Namespace(**{**config, **changes}))
    if getattr(model, "ctc", None) is not None:
        with torch.no_grad():
            model.ctc.ctc_lo.weight.mul_(4.0)
            model.ctc.ctc_lo.bias[0] += 4.0
    return model


def batch(**more):
    text = torch.tensor([[2, 3, 4], [4, 2, -1]])
    lens = torch.tensor([3, 2])
    speech = torch.randn(2, 120, FEATS)
    names = dict(speech=(speech, torch.tensor([120, 80])), text=(text, lens), **more)
    return {
        key: tensor.clone()
        for name, pair in names.items()
        for key, tensor in zip((name, f"{name}_lengths"), pair)
    }


def check_it_skips_and_learns(model, **more):
    model.train()
    loss = model(**batch(**more))[0]
    loss.backward()
    kept = model.encoder.last_kept
    assert 0 < int(kept.sum()) < kept.numel(), "some frames must have left"
    assert loss.isfinite()
    for name, parameter in model.encoder.named_parameters():
        assert parameter.grad is not None, f"{name} got no gradient"
    with torch.no_grad():
        assert model.eval()(**batch(**more))[0].isfinite()


CONDITIONED = dict(interctc_use_conditioning=True)
TRAINED = dict(ctc_weight=0.5, interctc_weight=0.3, report_cer=False, report_wer=False)


def test_slu(tasks):
    model = build(
        tasks["slu"].SLUTask, encoder_conf=CONDITIONED, model_conf=dict(TRAINED)
    )
    check_it_skips_and_learns(model)


def test_s2t_with_a_decoder(tasks):
    model = build(
        tasks["s2t"].S2TTask,
        token_list=[*TOKENS, *SPECIAL],
        encoder_conf=CONDITIONED,
        model_conf=dict(TRAINED, sym_na="<na>"),
    )
    text, lens = torch.tensor([[2, 3, 4], [4, 2, -1]]), torch.tensor([3, 2])
    check_it_skips_and_learns(model, text_prev=(text, lens), text_ctc=(text, lens))


@pytest.mark.parametrize("name", ["slu", "s2t"])
def test_a_gate_that_would_get_no_ctc_is_refused(tasks, name):
    task = getattr(tasks[name], {"slu": "SLUTask", "s2t": "S2TTask"}[name])
    with pytest.raises(ValueError, match="needs interctc_use_conditioning: true"):
        build(task, token_list=[*TOKENS, *SPECIAL])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_st_says_why_not(tasks, encoder):
    why = f"encoder={encoder} is of no use in espnet2.tasks.st: .*hands .* no CTC"
    with pytest.raises(ValueError, match=why):
        build(tasks["st"].STTask, encoder)


@pytest.mark.parametrize("by", ["option", "config"])
def test_asr_transducer_says_why_not(tasks, by, tmp_path, capsys):
    espnet_blankskip.register()  # again: its parser has the option once
    config = tmp_path / "train.yaml"
    config.write_text("encoder: blankskip_conformer\n")
    options = {
        "option": ["--encoder", "blankskip_conformer"],
        "config": ["--config", str(config)],
    }
    task = tasks["asr_transducer"].ASRTransducerTask
    with pytest.raises(SystemExit):
        task.get_parser().parse_args(options[by])
    why = "encoder=blankskip_conformer is of no use in espnet2.tasks.asr_transducer"
    assert why in capsys.readouterr().err
    plain = vars(task.get_parser().parse_args([]))
    assert "encoder" not in plain, "its configs hold nothing new"


def test_without_gates_they_are_encoders_like_others(tasks):
    bare = dict(gate_layers=[], interctc_layer_idx=[])
    model = build(
        tasks["slu"].SLUTask, encoder_conf=bare, model_conf=dict(ctc_weight=1.0)
    )
    assert isinstance(model.encoder, ENCODERS["blankskip_conformer"])
    assert model.eval()(**batch())[0].isfinite()
