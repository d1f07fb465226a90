"""The recipe in a real ESPnet tree gives what it gives with pip packages only.

``ESPNET_ROOT=... pytest tests/recipe/test_espnet_tree.py``: the tree is not written to.
"""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from recipe_folder import REPOSITORY, environment, make_recipe, run_sh

from espnet_blankskip.corpora import finding

STAGES = ["--nj", "2", "--inference_nj", "2", "--asr_args", "--max_epoch 2"]
STAGES += ["--inference_config", "conf/decode_asr_ctc_greedy.yaml"]
STAGES += ["--skip_packing", "false"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree that shares the template of ``ESPNET_ROOT``; recipes in it are ours."""
    root = os.environ.get("ESPNET_ROOT")
    if not root:
        pytest.skip("ESPNET_ROOT names no ESPnet checkout")
    if not (Path("/usr/lib/sctk/bin/sclite").is_file() or shutil.which("sclite")):
        pytest.skip("sclite is not installed (Debian: sctk)")
    folder = tmp_path_factory.mktemp("espnet")
    for name in ("egs2", "tools", "espnet"):
        (folder / name).mkdir()
    # all but tools/activate_python.sh: the Python is that of the test
    tools = ("tools/extra_path.sh", "tools/sentencepiece_commands")
    versions = ("version.txt", "espnet/version.txt")  # since 2026, and before
    for name in ("egs2/TEMPLATE", "utils", *versions, *tools):
        if (Path(root) / name).exists():
            (folder / name).symlink_to(Path(root).resolve() / name)
    return folder


@pytest.fixture(scope="module")
def experiments(tree, tmp_path_factory):
    """mini_an4 through stages 1 to 14: in the tree, and with pip packages only."""
    corpus = finding.find_source("MINI_AN4", "mini_an4", Path("downloads"))
    if corpus is None:
        pytest.skip("no mini_an4: set MINI_AN4 or make ../shared/data/mini_an4")
    os.environ["MINI_AN4"] = str(corpus.resolve())
    install = REPOSITORY / "egs2_recipe" / "install.sh"
    subprocess.run(["bash", install, tree, "mini_an4"], check=True)
    in_tree = tree / "egs2" / "mini_an4" / "asr1"
    by_pip = make_recipe(tmp_path_factory.mktemp("pip"))
    found = []
    for recipe, options in ((in_tree, []), (by_pip, ["--corpus", "mini_an4"])):
        result = run_sh(recipe, *options, *STAGES)
        assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
        found += (recipe / "exp").glob("asr_train_*")
    return found


def losses(experiment):
    log = (experiment / "train.log").read_text(encoding="utf-8")
    return re.findall(r"[ _]((?:loss|kept)\w*=[\d.]+)", "".join(_epochs(log)))


def _epochs(log):
    # loss_scale tells of AMP, and is 1 here
    return [line for line in log.splitlines() if "epoch results: " in line]


@pytest.mark.slow
def test_tree_and_pip_train_the_same_model_from_the_same_seed(experiments):
    in_tree, by_pip = map(losses, experiments)
    assert len(in_tree) >= 20
    assert in_tree == by_pip


@pytest.mark.slow
def test_tree_and_pip_recognize_the_same_words_with_the_same_scores(experiments):
    """Two epochs teach no words, so that the scores say more than the texts."""
    results = []
    for folder in experiments:
        found = next(folder.glob("decode_*/test"))
        texts = [line.split() for line in (found / "text").read_text().splitlines()]
        scores = [line.split() for line in (found / "score").read_text().splitlines()]
        assert len(texts) == len(scores) == 2
        results.append((texts, {name: float(score) for name, score in scores}))
    (texts, scores), (other_texts, other_scores) = results
    assert texts == other_texts
    assert min(scores.values()) < 0
    assert scores == pytest.approx(other_scores, abs=1e-3)


@pytest.mark.slow
def test_espnets_scripts_make_the_speed_and_the_table(experiments):
    log = next(experiments[0].glob("decode_*/test/logdir/calculate_rtf.log"))
    assert re.search(r"^RTF: [\d.]+$", log.read_text(), re.MULTILINE)
    table = (experiments[0] / "RESULTS.md").read_text()
    assert "show_asr_result.sh" in table
    assert re.search(r"^\|decode_asr_ctc_greedy\S*/test\|2\|10\|", table, re.MULTILINE)


@pytest.mark.slow
def test_packed_model_names_the_plugin_and_loads_as_from_the_zoo(experiments):
    zips = [next(folder.glob("*.zip")) for folder in experiments]
    for packed in zips:
        with zipfile.ZipFile(packed) as archive:
            meta = yaml.safe_load(archive.read("meta.yaml"))
        assert "espnet_blankskip" in meta["requirements"]
    load = (
        "import sys, numpy, espnet_blankskip\n"
        "from espnet_model_zoo.downloader import ModelDownloader\n"
        "from espnet2.bin.asr_inference import Speech2Text\n"
        "files = ModelDownloader(sys.argv[2]).download_and_unpack(sys.argv[1])\n"
        "s2t = Speech2Text(**files, ctc_weight=1.0, beam_size=1)\n"
        "print(type(s2t.asr_model.encoder).__name__)\n"
    )
    command = ["python3", "-c", load, str(zips[0]), str(zips[0].parent / "cache")]
    found = subprocess.check_output(command, env=environment(), text=True)
    assert "BlankSkipConformerEncoder" in found
