"""Benchmarks: ``python -m benchmarks CASE``. Equality first, then ratios."""
