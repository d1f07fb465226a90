"""A packed zip loads offline through ESPnet's own doors, and says what it needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_checkpoints import write_folder
from tiny_experiment import TOKENS, build_model, train_config

import espnet_blankskip
from espnet_blankskip.upstream import model_downloader
from espnet_blankskip.zoo import CheckpointError
from espnet_blankskip.zoo.archive import open_checkpoint
from espnet_blankskip.zoo.inspection import inspect_checkpoint
from espnet_blankskip.zoo.model_loading import load_checkpoint
from espnet_blankskip.zoo.packing_up import pack_checkpoint

TABLE = """# RESULTS

| mode | WER |
|---|---|
| skipping | 1.2 |

![a picture](images/wer.png)

```sh
# not a heading
```
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A blankskip experiment with statistics and a measured table."""
    root = tmp_path_factory.mktemp("experiment")
    stats = root / "feats_stats.npz"
    np.savez(stats, count=np.array(9), sum=np.zeros(20), sum_square=np.full(20, 9.0))
    config = train_config(skipping=True, factorized=True)
    config.update(
        normalize="global_mvn",
        normalize_conf={"stats_file": str(stats)},
        version="202511",
    )
    state = build_model(config).state_dict()
    folder = write_folder(root / "asr_tiny", config, state)
    (folder / "RESULTS.md").write_text(TABLE)
    return folder


@pytest.fixture(scope="module")
def packed(experiment, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "tiny.zip"
    pack_checkpoint(str(experiment), str(path))
    return path


def member(path, name):
    with zipfile.ZipFile(path) as opened:
        return opened.read(name).decode()


def test_meta_carries_the_plugins_name_and_version(packed):
    meta = yaml.safe_load(member(packed, "meta.yaml"))
    assert meta["requirements"] == {"espnet_blankskip": espnet_blankskip.__version__}
    assert meta["files"] == {"asr_model_file": "exp/asr_tiny/valid.loss.ave.pth"}
    lines = member(packed, "requirements.txt").splitlines()
    assert f"espnet_blankskip>={espnet_blankskip.__version__}" in lines
    # loaders that never read meta.yaml see it as an option of the encoder
    config = yaml.safe_load(member(packed, "exp/asr_tiny/config.yaml"))
    needed = config["encoder_conf"]["requires_plugin"]
    assert needed == espnet_blankskip.__version__
    # and the ESPnet that trained it, whichever packs it
    assert inspect_checkpoint(str(packed)).espnet == config["version"] == "202511"


def test_card_shows_the_table_and_what_to_install(packed):
    card = member(packed, "README.md")
    assert card.startswith("---\nlibrary_name: espnet\n")
    assert "| skipping | 1.2 |" in card
    assert "--encoder must be one of" in card
    assert f"'espnet_blankskip>={espnet_blankskip.__version__}'" in card
    assert "images/wer.png" not in card
    assert "\n# not a heading" in card
    assert "\n## RESULTS" in card


def test_nothing_in_the_zip_points_outside_it(packed, experiment):
    with zipfile.ZipFile(packed) as opened:
        assert not [n for n in opened.namelist() if n.startswith("/") or ".." in n]
    config = yaml.safe_load(member(packed, "exp/asr_tiny/config.yaml"))
    stats = config["normalize_conf"]["stats_file"]
    assert stats == "exp/asr_tiny/feats_stats.npz"
    assert open_checkpoint(str(packed)).missing == {}


def test_model_zoo_unpacks_it_offline(packed, tmp_path):
    files = model_downloader()(str(tmp_path)).unpack_local_file(str(packed))
    config = yaml.safe_load(Path(files["asr_train_config"]).read_text())
    assert Path(config["normalize_conf"]["stats_file"]).is_file()
    assert Path(files["asr_model_file"]).is_file()
    # the unpacked folder is the layout that Hugging Face serves, and opens as one
    unpacked = load_checkpoint(str(Path(files["asr_model_file"]).parents[2]))[0]
    assert unpacked.encoder.gate_layers == [2]


def test_from_pretrained_recognizes_with_it(packed, tmp_path, monkeypatch):
    """The stock class cannot be told a cache folder, so the zoo is told."""
    from espnet2.bin.asr_inference import Speech2Text

    zoo = model_downloader()

    class Here(zoo):
        def __init__(self):
            super().__init__(str(tmp_path))

    monkeypatch.setattr("espnet_model_zoo.downloader.ModelDownloader", Here)
    speech2text = Speech2Text.from_pretrained(
        str(packed), ctc_weight=1.0, beam_size=1, token_type="word"
    )
    model = load_checkpoint(str(packed))[0]
    for name, tensor in model.state_dict().items():
        assert torch.equal(speech2text.asr_model.state_dict()[name], tensor), name
    answer = speech2text(np.random.default_rng(0).standard_normal(8000) * 0.1)
    best = answer[0][0] if isinstance(answer, tuple) else answer[0]
    assert set(best[1]) <= set(TOKENS)


def test_without_the_plugin_stock_espnet_says_what_the_card_says(packed, tmp_path):
    files = model_downloader()(str(tmp_path)).unpack_local_file(str(packed))
    code = (
        "from espnet2.tasks.asr import ASRTask;"
        f"ASRTask.build_model_from_file({files['asr_train_config']!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "--encoder must be one of" in done.stderr


def test_older_plugin_is_told_what_to_install(packed, monkeypatch):
    monkeypatch.setattr("espnet_blankskip.zoo.requirements.__version__", "0.0.1")
    version = espnet_blankskip.__version__
    with pytest.raises(CheckpointError, match="packed with espnet_blankskip") as caught:
        open_checkpoint(str(packed))
    assert f"pip install 'espnet_blankskip>={version}'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stock_model_asks_for_no_plugin(tmp_path):
    config = train_config(skipping=False)
    folder = write_folder(tmp_path / "asr", config, build_model(config).state_dict())
    pack_checkpoint(str(folder), str(tmp_path / "stock.zip"))
    meta = yaml.safe_load(member(tmp_path / "stock.zip", "meta.yaml"))
    assert "requirements" not in meta
    assert "No results" in member(tmp_path / "stock.zip", "README.md")


def test_packing_again_gives_the_same_weights(packed, tmp_path):
    pack_checkpoint(str(packed), str(tmp_path / "again.zip"))
    first, second = (
        load_checkpoint(str(p))[0].state_dict()
        for p in (packed, tmp_path / "again.zip")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


REFUSED = {
    "name": ("tiny.tar", {}, "must end in .zip"),
    "results": ("tiny.zip", {"results": "none.md"}, "--results none.md"),
    "weights": ("tiny.zip", {"model_file": "none.pth"}, "none.pth: no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_named_and_leave_no_zip(case, experiment, tmp_path):
    name, options, why = REFUSED[case]
    with pytest.raises(CheckpointError, match=why):
        pack_checkpoint(str(experiment), str(tmp_path / name), **options)
    assert list(tmp_path.iterdir()) == []


def test_experiment_that_would_not_load_is_not_packed(experiment, tmp_path):
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    config["token_list"] = TOKENS[:3]
    state = torch.load(experiment / "valid.loss.ave.pth")
    folder = write_folder(tmp_path / "exp", config, state)
    with pytest.raises(CheckpointError, match="token_list has 3 tokens"):
        pack_checkpoint(str(folder), str(tmp_path / "bad.zip"))
    assert not (tmp_path / "bad.zip").exists()
