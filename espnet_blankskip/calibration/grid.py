"""The settings that a calibration tries."""

from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

from espnet_blankskip.gate import check_gate_options

THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
EXTENSIONS = (0, 1, 2)
# for checkpoints with so many gates that the full grid would take too long
COARSE_THRESHOLDS = (0.9, 0.98, 0.999)
COARSE_EXTENSIONS = (0, 1)
MAX_POINTS = 64

Gates = Tuple[int, ...]


@dataclass(frozen=True)
class GateSetting:
    """One point to measure.

    Attributes:
        gate_layers: layers after which blank frames leave, ascending.
        blank_threshold: blank probability from which they do.
        spike_extension: frames kept on both sides of a spike.
    """

    gate_layers: Gates
    blank_threshold: float
    spike_extension: int

    @property
    def gates(self) -> str:
        """The gate layers in short, such as "4" or "4+6"."""
        return "+".join(map(str, self.gate_layers))

    @property
    def name(self) -> str:
        """What this setting is called in messages; no two settings share it."""
        return (
            f"gate {self.gates}, threshold {self.blank_threshold:g}, "
            f"extension {self.spike_extension}"
        )


def make_grid(
    possible: Sequence[int],
    gates: Optional[Sequence[Gates]] = None,
    thresholds: Optional[Sequence[float]] = None,
    extensions: Optional[Sequence[int]] = None,
    max_points: int = MAX_POINTS,
) -> List[GateSetting]:
    """Every combination to measure.

    Args:
        possible: layers that the checkpoint can gate at.
        gates: sets of gate layers to try; None tries each possible layer alone.
        thresholds, extensions: values to try; None takes the default grid, or a
            coarser one where that would be too many points.
        max_points: most points to measure.

    Raises:
        ValueError: naming the option: a layer that cannot gate, a value out of its
            range, or too many points.
    """
    if max_points < 1:
        raise ValueError(f"--max-points {max_points} must be at least 1")
    for chosen in gates or ():
        strange = [n for n in chosen if n not in possible]
        if strange or not chosen:
            layers = ", ".join(map(str, possible))
            raise ValueError(
                f"--gate-layers {'+'.join(map(str, chosen))}: this checkpoint can only "
                f"gate at layers with an intermediate CTC: {layers}"
            )
    tried = _unique(tuple(sorted(set(g))) for g in gates or [(n,) for n in possible])
    full = len(tried) * len(thresholds or THRESHOLDS) * len(extensions or EXTENSIONS)
    coarse = full > max_points
    thresholds = thresholds or (COARSE_THRESHOLDS if coarse else THRESHOLDS)
    extensions = extensions or (COARSE_EXTENSIONS if coarse else EXTENSIONS)
    for threshold in thresholds:
        _check("--thresholds", threshold, 0)
    for extension in extensions:
        _check("--spike-extensions", 1.0, extension)
    grid = [
        GateSetting(gate, threshold, extension)
        for gate in tried
        for threshold in sorted(set(thresholds))
        for extension in sorted(set(extensions))
    ]
    if len(grid) > max_points:
        raise ValueError(
            f"--gate-layers, --thresholds and --spike-extensions make {len(grid)} "
            f"points, more than --max-points {max_points}: give fewer values, or "
            "raise it"
        )
    return grid


def _check(option: str, threshold: float, extension: int) -> None:
    try:
        check_gate_options(threshold, extension)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _unique(values) -> list:
    return list(dict.fromkeys(values))


def parse_gates(words: Optional[Sequence[str]]) -> Optional[List[Gates]]:
    """Read ``--gate-layers``: "4,6" are two candidates, "4+6" is one of two gates.

    Raises:
        ValueError: it is not understood.
    """
    return _parse("--gate-layers", words, lambda w: tuple(map(int, w.split("+"))))


def parse_numbers(
    option: str, words: Optional[Sequence[str]], kind: Callable
) -> Optional[list]:
    """Read a list of numbers, with commas or spaces between; None stays None.

    Args:
        option: its name.
        words: as the command line has them.
        kind: float or int.

    Raises:
        ValueError: naming the option and what is not a number.
    """
    return _parse(option, words, kind)


def _parse(option: str, words: Optional[Sequence[str]], kind: Callable):
    if words is None:
        return None
    values = []
    for word in " ".join(words).replace(",", " ").split():
        try:
            values.append(kind(word))
        except ValueError:
            raise ValueError(f"{option}: '{word}' is not a number") from None
    if not values:
        raise ValueError(f"{option} lists no value")
    return values
