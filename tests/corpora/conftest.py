"""Tests of corpora make their own: what lies beside the checkout decides nothing."""

import shutil
import sys
from pathlib import Path

import pytest

from espnet_blankskip.corpora import finding

RECIPE = Path(__file__).resolve().parents[2] / "egs2_recipe" / "asr1"


@pytest.fixture(autouse=True)
def nothing_lies_about(monkeypatch):
    """Hide ``shared/data``; module fixtures, made before, may still look into it."""
    monkeypatch.setattr(finding, "search_roots", lambda: [])


@pytest.fixture(scope="session")
def mini_an4():
    """Where ESPnet's test utterances are on this machine."""
    source = finding.find_source("MINI_AN4", "mini_an4", Path("downloads"))
    if source is None:
        pytest.skip("no mini_an4: set MINI_AN4 or make ../shared/data/mini_an4")
    return source.resolve()


@pytest.fixture
def recipe(tmp_path):
    """A copy of the recipe's data scripts."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    (tmp_path / "local").mkdir()
    for name in ("db.sh", "local/data.sh"):
        shutil.copy(RECIPE / name, tmp_path / name)
    # The test's own Python, wherever it is installed.
    (tmp_path / "path.sh").write_text(f'python3() {{ "{sys.executable}" "$@"; }}\n')
    return tmp_path
