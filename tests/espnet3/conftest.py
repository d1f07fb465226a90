"""What ESPnet3's tests share."""

import os

import pytest
from tiny_recipe import HAS_ESPNET3
from trained_recipe import train_each


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a recipe whose experiments are trained, once for all workers."""
    if not HAS_ESPNET3:
        pytest.skip("no ESPnet3")
    from filelock import FileLock  # ESPnet has it

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / "trained_recipe", base / "trained_recipe.done"
    with FileLock(base / "trained_recipe.lock"):
        if not done.exists():
            train_each(folder)
            done.touch()
    return folder
