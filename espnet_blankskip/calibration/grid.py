"""The settings that a calibration tries."""

import itertools
from dataclasses import replace
from typing import Any, List, Mapping, Optional, Sequence

from espnet_blankskip.gate_options import GATE_OPTIONS, GateOptions, layers_in_words
from espnet_blankskip.option_values import checked_count

#: Thresholds and extensions of a grid, the finest first; of checkpoints with so many
#: gates that one would take too long the next is tried. An untrained checkpoint loses
#: deletions, which wider extensions and attention over all frames win back.
GRIDS = (
    ((0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999), (0, 1, 2, 3)),
    ((0.9, 0.98, 0.999), (0, 1, 2)),
    ((0.9, 0.99), (0, 2)),
    ((0.95,), (0, 2)),
)
ATTENTION = ("kept", "all")
MAX_POINTS = 64


def make_grid(
    possible: Sequence[int],
    trained: GateOptions,
    tried: Optional[Mapping[str, Optional[Sequence[Any]]]] = None,
    max_points: int = MAX_POINTS,
) -> List[GateOptions]:
    """Every combination to measure.

    Args:
        possible: layers that the checkpoint can gate at.
        trained: its own options, for what is not tried.
        tried: values to try, by option; without an option, or where it is None: each
            possible layer alone, the finest of `GRIDS` that is not too many points,
            and attention to kept frames and to all.
        max_points: most points to measure.

    Raises:
        ValueError: naming the option: a layer that cannot gate, a value out of its
            range, or too many points.
    """
    max_points = checked_count("max_points", max_points, 1)
    given = {name: v for name, v in (tried or {}).items() if v is not None}
    for layers in given.get("gate_layers", ()):
        chosen = GateOptions(gate_layers=layers).gate_layers
        if not chosen or not set(chosen) <= set(possible):
            raise ValueError(
                f"gate_layers=[{layers_in_words(chosen)}]: this checkpoint can only "
                "gate at layers with an intermediate CTC: "
                + ", ".join(map(str, possible))
            )
    for thresholds, extensions in GRIDS:
        values = {
            "gate_layers": [(number,) for number in possible],
            "blank_threshold": thresholds,
            "spike_extension": extensions,
            "attn_context": ATTENTION,
            **given,
        }
        grid = _combinations(trained, values)
        if len(grid) <= max_points:
            return grid
    varied = " and ".join(name for name, v in values.items() if len(v) > 1)
    raise ValueError(
        f"{varied} make {len(grid)} points, more than max_points={max_points}: give "
        "fewer values, or raise it"
    )


def name_of(point: GateOptions) -> str:
    """What a point is called in messages; no two points share it."""
    return (
        f"gate {layers_in_words(point.gate_layers)}, "
        f"threshold {point.blank_threshold:g}, extension {point.spike_extension}, "
        f"attn_context {point.attn_context}, conv_context {point.conv_context}"
    )


def _combinations(
    trained: GateOptions, values: Mapping[str, Sequence[Any]]
) -> List[GateOptions]:
    """All combinations, each once; what has no values is as trained."""
    names = [name for name in GATE_OPTIONS if name in values]
    combinations = itertools.product(*(values[name] for name in names))
    return list(
        dict.fromkeys(
            replace(trained, mode="skipping", **dict(zip(names, chosen)))
            for chosen in combinations
        )
    )
