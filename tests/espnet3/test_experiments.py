"""An experiment that ESPnet3 trained, in ESPnet2 and in every `blankskip` command."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_recipe import needs_espnet3

from espnet_blankskip.bin import asr_decode
from espnet_blankskip.bin.blankskip import main
from espnet_blankskip.checkpoint import read_state_dict
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.zoo.archive import open_checkpoint

pytestmark = needs_espnet3

BEST = "valid.loss.ave_2best.pth"  # the last average, one validation behind
LAST = "last.ckpt"  # Lightning's, with the optimizer's state


@pytest.fixture(scope="module")
def exp(trained):
    return trained / "exp" / "accumulated"


@pytest.fixture(autouse=True)
def own_log_handlers():
    """A command takes over the log, as a command may."""
    handlers = list(logging.root.handlers)
    yield
    logging.root.handlers[:] = handlers


@pytest.fixture
def speech():
    return np.random.default_rng(0).normal(0, 0.1, 12000).astype(np.float32)


def scores(model_file, speech, **options):
    """Log-probabilities (T, V) of the dense encoder."""
    speech2text = BlankSkipSpeech2Text(None, model_file, mode="dense", **options)
    model = speech2text.asr_model
    batch = torch.from_numpy(speech)[None], torch.tensor([len(speech)])
    with torch.no_grad():
        return model.ctc.log_softmax(model.encode_frames(*batch, "dense").states)[0]


def test_the_average_is_taken_and_its_config_understood(exp):
    found = open_checkpoint(str(exp))
    assert found.model_file.name == BEST
    assert (found.config["token_type"], found.missing) == ("word", {})


@pytest.mark.parametrize("name", [BEST, LAST])
@pytest.mark.parametrize("where", ["folder", "file"])
def test_inspect_and_transcribe_take_it(exp, tmp_path, speech, capsys, name, where):
    wav = tmp_path / "noise.wav"
    soundfile.write(wav, speech, 8000)
    source = exp / name
    if where == "folder":
        source = shutil.copytree(exp, tmp_path / "exp", symlinks=True)
        if name == LAST:
            for average in source.glob("*.pth"):
                average.unlink()
    assert main(["inspect", str(source), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model_file"], found["verdict"]) == (name, "skip at once")
    assert found["problems"] == []
    assert main(["transcribe", str(wav), "--model", str(source)]) == 0
    assert "transcribed 1 of 1" in capsys.readouterr().err


def test_pack_and_convert_and_show_and_calibrate_take_it(exp, tmp_path, speech, capsys):
    wav = tmp_path / "noise.wav"
    soundfile.write(wav, speech, 8000)
    (tmp_path / "wav.scp").write_text(f"noise {wav}\n")
    (tmp_path / "text").write_text("noise one two three\n")
    zip_file, converted = tmp_path / "model.zip", tmp_path / "converted"
    commands = [
        ["pack", exp, zip_file],
        ["pack", exp / LAST, tmp_path / "last.zip"],
        ["transcribe", wav, "--model", zip_file],
        [
            "convert",
            exp,
            converted,
            "--gate-layers",
            "2",
            "--fit-audio",
            tmp_path / "wav.scp",
        ],
        ["show", wav, "--model", exp, "--output", tmp_path / "depth.png"],
        ["calibrate", exp, "--data", tmp_path / "wav.scp", "--text", tmp_path / "text"]
        + ["--timing-seconds", "0", "--output", tmp_path / "calibrated"],
    ]
    for command in commands:
        status = main([str(word) for word in command])
        assert status == 0, (command, capsys.readouterr().err)
    torch.testing.assert_close(
        scores(converted / BEST, speech), scores(exp / BEST, speech)
    )
    # the weights alone, without the optimizer's state
    assert open_checkpoint(str(tmp_path / "last.zip")).model_file.name == "last.pth"


def test_espnets_own_recognizer_decodes_it(exp, speech):
    from espnet_blankskip.upstream import speech2text_class

    stock = speech2text_class()(
        str(exp / "config.yaml"), str(exp / LAST), ctc_weight=1.0, beam_size=2
    )
    batch = torch.from_numpy(speech)[None], torch.tensor([len(speech)])
    with torch.no_grad():
        states, _ = stock.asr_model.encode(*batch)
        states = states[0] if isinstance(states, tuple) else states
        got = stock.asr_model.ctc.log_softmax(states)[0]
    ours = BlankSkipSpeech2Text(None, exp / LAST, mode="skipping")
    skipping = ours.asr_model.encode_frames(*batch, "skipping").states
    torch.testing.assert_close(
        got, ours.asr_model.ctc.log_softmax(skipping)[0].detach(), rtol=1e-4, atol=1e-4
    )
    assert stock(speech) is not None


def test_our_asr_inference_decodes_it(exp, tmp_path, trained):
    config = tmp_path / "decode.yaml"
    config.write_text("mode: skipping\n")
    arguments = ["--config", config, "--output_dir", tmp_path / "out", "--ngpu", "0"]
    arguments += ["--asr_train_config", exp / "config.yaml"]
    arguments += ["--asr_model_file", exp / LAST]
    data = trained / "data" / "digits" / "wav.scp"
    arguments += ["--data_path_and_name_and_type", f"{data},speech,sound"]
    arguments += ["--key_file", data]
    assert not asr_decode.main([str(word) for word in arguments])
    [text] = Path(tmp_path / "out").rglob("text")
    assert len(text.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="plain"),
        pytest.param(
            lambda state: {f"model.{name}": w for name, w in state.items()},
            id="prefixed",
        ),
        pytest.param(
            lambda state: {
                "pytorch-lightning_version": "2.6.6",
                "state_dict": {f"model.{name}": w for name, w in state.items()},
                "optimizer_states": [{"state": {}, "param_groups": []}],
            },
            id="lightning_prefixed",
        ),
    ],
)
def test_weights_are_found_under_lightnings_names(exp, tmp_path, wrap):
    state = read_state_dict(exp / BEST)
    torch.save(wrap(dict(state)), tmp_path / "model.ckpt")
    found = read_state_dict(tmp_path / "model.ckpt")
    assert list(found) == list(state)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_a_lightning_checkpoint_that_lacks_a_weight_is_refused(exp, tmp_path, capsys):
    loaded = torch.load(exp / LAST, weights_only=True)
    loaded["state_dict"].pop("ctc.ctc_lo.bias")
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(exp / "config.yaml", broken)
    torch.save(loaded, broken / LAST)
    wav = tmp_path / "noise.wav"
    soundfile.write(wav, np.zeros(8000), 8000)
    assert main(["transcribe", str(wav), "--model", str(broken)]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "missing weights: ctc.ctc_lo.bias" in line


def test_a_split_preprocessor_still_tells_the_tokenizer(exp, tmp_path):
    config = yaml.safe_load((exp / "config.yaml").read_text())
    shared = {"token_type": "word", "token_list": config["token_list"]}
    own = {"_target_": "espnet2.train.preprocessor.CommonPreprocessor"}
    # as ESPnet3 writes it then: the tokenizer is not at the root
    config["dataset"]["preprocessor"] = {**shared, "train": own, "valid": own}
    config["token_type"] = "bpe"
    shutil.copytree(exp, tmp_path / "exp", symlinks=True)
    (tmp_path / "exp" / "config.yaml").write_text(yaml.safe_dump(config))
    BlankSkipSpeech2Text(None, tmp_path / "exp" / BEST)
    assert open_checkpoint(str(tmp_path / "exp")).config["token_type"] == "word"
