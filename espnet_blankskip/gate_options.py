"""The two options of a gate, checked with torch or without."""

MIN_THRESHOLD = 0.5


def check_gate_options(blank_threshold: float, spike_extension: int) -> None:
    """Check the gate's two options.

    Raises:
        ValueError: if ``blank_threshold < 0.5`` (below that a skipped frame might
            have a label as its best symbol, and greedy search over kept frames
            would differ from greedy search over all), or ``spike_extension < 0``.
    """
    if not isinstance(blank_threshold, (int, float)) or not (
        blank_threshold >= MIN_THRESHOLD
    ):
        raise ValueError(
            f"blank_threshold={blank_threshold} must be at least {MIN_THRESHOLD} "
            "(above 1 nothing is skipped)"
        )
    if not is_count(spike_extension):
        raise ValueError(
            f"spike_extension={spike_extension} must be a whole number of frames >= 0"
        )


def is_count(value) -> bool:
    """Whether an option's value is a whole number >= 0."""
    return isinstance(value, (int, float)) and value >= 0 and value % 1 == 0
