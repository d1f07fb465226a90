"""Settings for all tests; its presence also puts this folder on the import path."""

import os

import pytest
import torch
from hypothesis import settings

# Tiny tensors gain nothing from threads, and test processes should not fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
# A busy machine is no reason to call a property false.
settings.register_profile("patient", max_examples=60, deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same random numbers, whatever ran before it."""
    torch.manual_seed(0)
