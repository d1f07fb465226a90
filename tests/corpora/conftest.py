"""Tests of corpora make their own: what lies beside the checkout decides nothing."""

from pathlib import Path

import pytest

from espnet_blankskip.corpora import sources


@pytest.fixture(autouse=True)
def nothing_lies_about(monkeypatch):
    """Hide ``shared/data``; module fixtures, made before, may still look into it."""
    monkeypatch.setattr(sources, "search_roots", lambda: [])


@pytest.fixture(scope="session")
def mini_an4():
    """Where ESPnet's test utterances are on this machine."""
    source = sources.find_source("MINI_AN4", "mini_an4", Path("downloads"))
    if source is None:
        pytest.skip("no mini_an4: set MINI_AN4 or make ../shared/data/mini_an4")
    return source.resolve()
