"""A checkpoint loads whole, by name, or says which name is at fault."""

import pytest
import torch
import yaml
from tiny_checkpoints import write_folder, write_zip
from tiny_experiment import build_model, train_config

from espnet_blankskip.zoo import CheckpointError
from espnet_blankskip.zoo.inspection import SKIP_NOW
from espnet_blankskip.zoo.model_loading import load_checkpoint


@pytest.fixture(scope="module")
def built():
    """Config and model of a factorized blankskip conformer."""
    config = train_config(skipping=True, factorized=True)
    return config, build_model(config)


@pytest.fixture
def config(built):
    return yaml.safe_load(yaml.safe_dump(built[0]))


@pytest.fixture
def state(built):
    return dict(built[1].state_dict())


def test_model_comes_back_as_it_was(built, config, state, tmp_path):
    folder = write_folder(tmp_path / "exp", config, state)
    model, train_args, found = load_checkpoint(str(folder))
    assert not model.training
    assert train_args.encoder == "blankskip_conformer"
    assert found.verdict == SKIP_NOW
    speech = torch.randn(1, 8000)
    lens = torch.tensor([8000])
    with torch.no_grad():
        ours = model.encode_frames(speech, lens).states
        theirs = built[1].encode_frames(speech, lens).states
    assert torch.equal(ours, theirs)


def test_zip_loads_like_its_folder(config, state, tmp_path):
    folder = write_folder(tmp_path / "exp", config, state)
    model = load_checkpoint(str(write_zip(tmp_path / "m.zip", folder)))[0]
    for name, tensor in state.items():
        assert torch.equal(model.state_dict()[name], tensor), name


def drop(name):
    def change(config, state):
        del state[name]

    return change


def add(name):
    def change(config, state):
        state[name] = torch.zeros(2)

    return change


def reshape(name, shape):
    def change(config, state):
        state[name] = torch.zeros(shape)

    return change


def option(section, key, value):
    def change(config, state):
        config[section][key] = value

    return change


def top(**values):
    def change(config, state):
        config.update(values)

    return change


BAD = {
    "missing weight": (
        drop("encoder.encoders.1.norm_mha.weight"),
        r"missing weights: encoder\.encoders\.1\.norm_mha\.weight",
    ),
    "missing head": (drop("ctc.ctc_lo.weight"), r"missing weights: ctc\.ctc_lo"),
    "extra weight": (add("encoder.magic"), r"unexpected weights: encoder\.magic"),
    "other shape": (
        reshape("encoder.after_norm.bias", 5),
        r"other shapes: encoder\.after_norm\.bias \(5,\) instead of \(16,\)",
    ),
    "vocabulary": (top(token_list=["<blank>", "a"]), "token_list has 2 tokens"),
    "own gate without weights": (
        option("encoder_conf", "gate_head", "own"),
        r"missing weights: encoder\.blank_state",
    ),
    "encoder option": (option("encoder_conf", "warp", 1), r"encoder_conf\.warp"),
    "model option": (option("model_conf", "warp", 1), r"model_conf\.warp"),
    "frontend option": (option("frontend_conf", "warp", 1), "warp"),
    "gate out of range": (
        option("encoder_conf", "gate_layers", [9]),
        r"gate_layers=\[9\]",
    ),
    "newer ESPnet": (
        top(version="209901", warp_drive="on"),
        "209901, newer than the one installed, which does not know: warp_drive",
    ),
    "no encoder": (top(encoder=None), "encoder"),
}


@pytest.mark.parametrize("case", BAD)
def test_nothing_loads_in_part(case, config, state, tmp_path):
    change, why = BAD[case]
    change(config, state)
    folder = write_folder(tmp_path / "exp", config, state)
    with pytest.raises(CheckpointError, match=why) as caught:
        load_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_newer_espnet_is_no_reason_where_its_options_are_unset(config, state, tmp_path):
    config.update(version="209901", warp_drive=None)
    load_checkpoint(str(write_folder(tmp_path / "exp", config, state)))


FETCHES = {
    "front-end": top(frontend="s3prl", frontend_conf={}),
    "decoder": top(decoder="hugging_face_transformers", decoder_conf={}),
    "postencoder": top(postencoder="hugging_face_transformers"),
    "encoder": top(encoder="wav2vec2", encoder_conf={"w2v_url": "http://x"}),
}


@pytest.mark.parametrize("case", FETCHES)
def test_archive_cannot_make_espnet_load_other_models(case, config, state, tmp_path):
    FETCHES[case](config, state)
    folder = write_folder(tmp_path / "exp", config, state)
    with pytest.raises(CheckpointError, match="refused"):
        load_checkpoint(str(write_zip(tmp_path / "m.zip", folder)))


def test_newer_plugin_is_asked_for_by_version(config, state, tmp_path):
    folder = write_folder(tmp_path / "exp", config, state)
    meta = {"requirements": {"espnet_blankskip": "99.1"}}
    zipped = write_zip(tmp_path / "m.zip", folder, meta)
    with pytest.raises(CheckpointError, match=r"pip install 'espnet_blankskip>=99\.1'"):
        load_checkpoint(str(zipped))
    meta = {"requirements": {"espnet_blankskip": "0.0.1"}}
    load_checkpoint(str(write_zip(tmp_path / "old.zip", folder, meta)))
