"""The table of an ESPnet3 experiment: test sets in dense, skipping, ... mode."""

import json
from pathlib import Path
from typing import Dict, Mapping


def read_metrics(inference_dir: Path) -> Dict[str, Dict[str, float]]:
    """Return what ESPnet3's stage ``measure`` wrote: test set -> metric -> value."""
    found: Dict[str, Dict[str, float]] = {}
    metrics = json.loads((inference_dir / "metrics.json").read_text(encoding="utf-8"))
    for of_sets in metrics.values():
        for test_set, values in of_sets.items():
            found.setdefault(test_set, {}).update(values)
    return found


def results_table(rows: Mapping[str, Path]) -> str:
    """Make a Markdown table.

    Args:
        rows: mode -> folder in which it was decoded and measured.

    Returns:
        A line per test set and mode, a column per metric.
    """
    by_mode = {mode: read_metrics(folder) for mode, folder in rows.items()}
    cells = [
        (test_set, mode, values)
        for mode, of_sets in by_mode.items()
        for test_set, values in of_sets.items()
    ]
    columns = list(dict.fromkeys(name for _, _, values in cells for name in values))
    order = list(rows)
    cells.sort(key=lambda cell: (cell[0], order.index(cell[1])))
    lines = [
        " | ".join(["| test set", "mode", *columns]) + " |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for test_set, mode, values in cells:
        numbers = [f"{values[c]:g}" if c in values else "" for c in columns]
        lines.append(" | ".join([f"| {test_set}", mode, *numbers]) + " |")
    return "\n".join(lines) + "\n"
