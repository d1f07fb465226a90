"""Every layout of a checkpoint opens to the same config, weights and assets."""

import os

import pytest
import torch
import yaml
from tiny_checkpoints import light_state, stock_config, write_folder, write_zip

from espnet_blankskip.zoo import CheckpointError
from espnet_blankskip.zoo import archive as archive_module
from espnet_blankskip.zoo.archive import choose_weights, open_checkpoint


@pytest.fixture(scope="module")
def state():
    return light_state()


@pytest.fixture
def experiment(tmp_path, state):
    config = stock_config(
        normalize="global_mvn", normalize_conf={"stats_file": "exp/stats.npz"}
    )
    folder = write_folder(tmp_path / "exp" / "asr", config, state)
    (tmp_path / "exp" / "stats.npz").write_bytes(b"stats")
    return folder


def test_experiment_finds_its_statistics_from_any_folder(experiment, monkeypatch):
    monkeypatch.chdir("/")
    opened = open_checkpoint(str(experiment))
    stats = experiment.parent / "stats.npz"
    assert opened.kind == "experiment"
    assert opened.assets == {"normalize_conf.stats_file": stats}
    assert opened.config["normalize_conf"]["stats_file"] == str(stats)
    assert opened.model_file.name == "valid.loss.ave.pth"


def test_one_of_its_model_files_can_be_named(experiment, state):
    torch.save(state, experiment / "3epoch.pth")
    opened = open_checkpoint(str(experiment / "3epoch.pth"))
    assert opened.model_file.name == "3epoch.pth"
    assert opened.config["encoder"] == "conformer"


def test_missing_statistics_are_listed_by_option(experiment):
    (experiment.parent / "stats.npz").unlink()
    opened = open_checkpoint(str(experiment))
    assert opened.missing == {"normalize_conf.stats_file": "exp/stats.npz"}


def test_zip_and_its_unpacked_folder_open_alike(tmp_path, experiment):
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    config["normalize_conf"]["stats_file"] = "exp/stats.npz"
    (experiment / "config.yaml").write_text(yaml.safe_dump(config))
    (experiment / "stats.npz").write_bytes(b"stats")
    zipped = write_zip(tmp_path / "m.zip", experiment)
    from_zip = open_checkpoint(str(zipped))
    folder = from_zip.model_file.parent.parent
    from_folder = open_checkpoint(str(folder))
    assert (from_zip.kind, from_folder.kind) == ("zip", "folder")
    assert from_zip.config == from_folder.config
    assert from_zip.assets["normalize_conf.stats_file"] == folder / "exp/stats.npz"


@pytest.mark.parametrize("value", ["/etc/hostname", "../../outside", "exp/../../x"])
def test_archive_cannot_name_files_outside_itself(value, tmp_path, experiment):
    config = stock_config(token_type="bpe", bpemodel=value)
    (experiment / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(CheckpointError, match="bpemodel=.* lies outside"):
        open_checkpoint(str(write_zip(tmp_path / "m.zip", experiment)))


@pytest.mark.parametrize("value", ["/etc/hostname", "../x.pth", "exp/none.pth"])
def test_meta_cannot_name_files_it_lacks(value, tmp_path, experiment):
    meta = {"files": {"asr_model_file": value}}
    with pytest.raises(CheckpointError, match="meta.yaml names"):
        open_checkpoint(str(write_zip(tmp_path / "m.zip", experiment, meta)))


def test_other_tasks_are_named(tmp_path, experiment):
    meta = {"files": {"model_file": "exp/x"}, "yaml_files": {"train_config": "exp/y"}}
    with pytest.raises(CheckpointError, match="not a speech recognition checkpoint"):
        open_checkpoint(str(write_zip(tmp_path / "m.zip", experiment, meta)))


BAD_CONFIGS = {
    "code": ("!!python/object/apply:os.system ['touch ran']", "not a plain YAML"),
    "deep": ("[" * 100_000, "nest"),  # PyYAML from 6.0.4 on refuses it first
    "list": ("- a\n- b\n", "not a YAML mapping"),
    "broken": ("a: [", "not a plain YAML"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_config_that_is_no_plain_mapping_is_refused(case, experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    text, why = BAD_CONFIGS[case]
    (experiment / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=why):
        open_checkpoint(str(experiment))
    assert not (experiment / "ran").exists()


def test_unknown_path_that_is_no_tag_is_named():
    with pytest.raises(CheckpointError, match="nor a zoo tag"):
        open_checkpoint("/nowhere/at/all")


def test_tag_is_fetched_by_the_model_zoo(experiment, tmp_path, monkeypatch):
    zipped = write_zip(tmp_path / "m.zip", experiment)

    class Zoo:
        def download(self, tag):
            assert tag == "someone/model"
            return str(zipped)

    monkeypatch.setattr("espnet_blankskip.upstream.model_downloader", lambda: Zoo)
    monkeypatch.chdir(tmp_path)
    (experiment / "stats.npz").write_bytes(b"stats")
    assert open_checkpoint("someone/model").kind == "zoo"


def test_tag_without_a_network_is_one_clear_line(monkeypatch):
    class Zoo:
        def download(self, tag):
            raise ConnectionError("a\nlong\nstory")

    monkeypatch.setattr("espnet_blankskip.upstream.model_downloader", lambda: Zoo)
    with pytest.raises(CheckpointError, match="cannot fetch it") as caught:
        archive_module.open_checkpoint("someone/model")
    assert "\n" not in str(caught.value)


CHOICES = {
    "average of the criterion": (
        ["valid.loss.ave_4best.pth", "valid.loss.best.pth", "9epoch.pth"],
        "valid.loss.ave_4best.pth",
    ),
    "best epoch": (["valid.loss.best.pth", "9epoch.pth"], "valid.loss.best.pth"),
    "only file": (["asr.pth", "checkpoint.pth"], "asr.pth"),
    "last epoch": (["9epoch.pth", "10epoch.pth", "latest.pth"], "10epoch.pth"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_weights_are_those_a_recipe_would_decode_with(case, tmp_path):
    files, wanted = CHOICES[case]
    for name in files:
        (tmp_path / name).touch()
    config = {"best_model_criterion": [["valid", "loss", "min"]]}
    assert choose_weights(tmp_path, config, "exp").name == wanted


def test_ambiguous_or_absent_weights_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no model file"):
        choose_weights(tmp_path, {}, "exp")
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=r"a\.pth, b\.pth"):
        choose_weights(tmp_path, {}, "exp")


def test_file_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "speech.wav"
    path.touch()
    with pytest.raises(CheckpointError, match=r"speech\.wav: not a checkpoint"):
        open_checkpoint(os.fspath(path))
