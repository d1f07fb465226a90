"""An experiment is loaded from wherever it lies now, as it was when it was trained."""

import shutil
import zipfile

import numpy as np
import pytest
import torch
import yaml
from tiny_experiment import build_model, train_config

from espnet_blankskip.checkpoint import load_asr_model
from espnet_blankskip.evaluation.stock_twin import build_stock_twin
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.inspection import inspect_checkpoint
from espnet_blankskip.zoo.model_loading import load_checkpoint
from espnet_blankskip.zoo.packing_up import pack_checkpoint

STATS = "exp/asr_stats/train/feats_stats.npz"
MEAN, DEVIATION = (np.linspace(*ends, 20, dtype="f4") for ends in ((-1, 1), (1, 2)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An experiment whose statistics lie where ESPnet's recipes have them."""
    root = tmp_path_factory.mktemp("made") / "recipe"
    (root / "exp/asr").mkdir(parents=True)
    (root / STATS).parent.mkdir(parents=True)
    square = DEVIATION**2 + MEAN**2
    np.savez(root / STATS, count=np.array(9), sum=9 * MEAN, sum_square=9 * square)
    conf = {"stats_file": str(root / STATS)}
    config = train_config(normalize="global_mvn", normalize_conf=conf)
    torch.save(build_model(config).state_dict(), root / "exp/asr/model.pth")
    return root, config


def laid_out(made, where, absolute, stats):
    """A copy of the experiment at another place."""
    root, config = made
    shutil.copytree(root, where)
    path = str(root.parent / "gone" / STATS) if absolute else STATS
    config = dict(config, normalize_conf={"stats_file": path})
    (where / "exp/asr/config.yaml").write_text(yaml.safe_dump(config))
    if not stats:
        (where / STATS).unlink()
    return where / "exp/asr"


@pytest.mark.parametrize("stats", [True, False], ids=["stats", "no-stats"])
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
@pytest.mark.parametrize("link", [True, False], ids=["link", "moved"])
def test_a_linked_or_moved_experiment_is_the_same_model(
    link, absolute, stats, made, tmp_path, monkeypatch
):
    folder = laid_out(made, tmp_path / "elsewhere", absolute, stats)
    if link:
        (tmp_path / "links").mkdir()
        (tmp_path / "links/best").symlink_to(folder)
        folder = tmp_path / "links/best"
    monkeypatch.chdir("/")
    assert inspect_checkpoint(str(folder)).problems == []
    config, model_file = folder / "config.yaml", folder / "model.pth"
    weights = torch.load(model_file)
    for model, train_args in (
        load_checkpoint(str(folder))[:2],
        load_asr_model(config, model_file),
    ):
        own = model.state_dict()
        assert all(torch.equal(own[n], w.to(own[n].dtype)) for n, w in weights.items())
        assert torch.allclose(model.normalize.mean, torch.tensor(MEAN))
        found = train_args.normalize_conf["stats_file"]
        if stats:
            assert found == str(folder.resolve().parents[1] / STATS)
    twin = build_stock_twin(model, train_args)  # as the report does
    assert torch.allclose(twin.normalize.mean, torch.tensor(MEAN))


def test_statistics_are_asked_for_where_nothing_has_them(made, tmp_path):
    folder = laid_out(made, tmp_path / "elsewhere", True, False)
    weights = torch.load(folder / "model.pth")
    kept = {n: w for n, w in weights.items() if not n.startswith("normalize.")}
    torch.save(kept, folder / "model.pth")
    with pytest.raises(CheckpointError, match="stats_file=.*: no such file"):
        load_checkpoint(str(folder))


def test_a_pack_has_the_statistics_that_only_the_weights_had(made, tmp_path):
    folder = laid_out(made, tmp_path / "elsewhere", False, False)
    pack_checkpoint(str(folder), str(tmp_path / "m.zip"))
    with zipfile.ZipFile(tmp_path / "m.zip") as opened:
        (name,) = [n for n in opened.namelist() if n.endswith("feats_stats.npz")]
        stats = np.load(opened.extract(name, tmp_path))
    variance = stats["sum_square"] - stats["sum"] ** 2
    assert np.allclose(stats["sum"], MEAN, atol=1e-6)
    assert np.allclose(np.sqrt(variance), DEVIATION, atol=1e-4)
