"""What counts as a number where users give one: in Python, YAML, on a command line."""

import math
from typing import Any, Optional


def as_number(value: Any) -> float:
    """Read an int, a float, a scalar of numpy or torch, or text such as "0.9".

    Returns:
        The number; not-a-number for anything else, true and false included, so that
        it lies in no range that a caller may ask for.
    """
    if type(value).__name__ in ("bool", "bool_"):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def as_count(value: Any) -> Optional[int]:
    """Read a whole number >= 0, given as for `as_number`; None for anything else."""
    number = as_number(value)
    return int(number) if 0 <= number < math.inf and number % 1 == 0 else None


def checked_count(option: str, value: Any, least: int = 0) -> int:
    """Return a whole number that must be at least ``least``.

    Raises:
        ValueError: it is not; the message names the option.
    """
    number = as_number(value)
    if not math.isfinite(number) or number % 1 != 0:  # also what is no number at all
        raise ValueError(f"{option}={value} must be a whole number")
    if number < least:
        raise ValueError(f"{option}={value} must be at least {least}")
    return int(number)


def checked_number(option: str, value: Any) -> float:
    """Return a number, which may be infinite.

    Raises:
        ValueError: it is none; the message names the option.
    """
    number = as_number(value)
    if math.isnan(number):
        raise ValueError(f"{option}={value} must be a number")
    return number
