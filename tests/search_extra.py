"""Beam search is an extra whose packages do not build on Python 3.13."""

import importlib.util

import pytest

needs_search = pytest.mark.skipif(
    importlib.util.find_spec("flashlight") is None,
    reason="the extra 'search' is not installed",
)
