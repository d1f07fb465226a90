"""Timing that can be trusted: interleaved, repeated, medians, threads stated."""

import platform
import statistics
import time
from typing import Callable, Dict, List, Optional

import torch

from espnet_blankskip.espnet_version import find_espnet
from espnet_blankskip.evaluation.results_file import cpu_name

REPEATS = 7


class Unequal(Exception):
    """Two ways to compute the same did not give the same, so no speed is stated."""


def clock(device: str, threads: int) -> Callable[[], float]:
    """A clock in seconds that suits what is timed.

    With one thread on a CPU it counts the process's own time, which other work on the
    machine does not lengthen much; otherwise the time on the wall, on a GPU after
    everything queued there is done.
    """
    if device != "cpu":

        def wall() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return wall
    return time.process_time if threads == 1 else time.perf_counter


def interleaved(
    candidates: Dict[str, Callable[[], None]],
    repeats: int = REPEATS,
    now: Callable[[], float] = time.perf_counter,
) -> Dict[str, List[float]]:
    """Time callables in turn, A B C A B C ..., after one warm-up of each.

    Args:
        candidates: what to run, by name.
        repeats: counted rounds.
        now: clock in seconds.

    Returns:
        Seconds of every counted run, by name, in order.
    """
    for run in candidates.values():
        run()
    seconds: Dict[str, List[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = now()
            run()
            seconds[name].append(now() - start)
    return seconds


def median_ratio(baseline: List[float], other: List[float]) -> float:
    """Median over the rounds of baseline/other: how many times faster other is."""
    return statistics.median(b / o for b, o in zip(baseline, other))


def environment(threads: Optional[int] = None) -> str:
    """One line that names the machine, threads and versions.

    Args:
        threads: of the measured processes; None: of this one.
    """
    espnet = find_espnet().version
    return (
        f"{cpu_name()}, {threads or torch.get_num_threads()} thread(s), torch "
        f"{torch.__version__}, ESPnet {espnet}, Python {platform.python_version()}"
    )
