"""Timing that can be trusted: interleaved, repeated, medians, threads stated."""

import importlib.metadata
import platform
import statistics
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

import torch

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
    espnet = importlib.metadata.version("espnet")
    return (
        f"{processor()}, {threads or torch.get_num_threads()} thread(s), torch "
        f"{torch.__version__}, ESPnet {espnet}, Python {platform.python_version()}"
    )


def processor() -> str:
    """Name of the processor, with the numbers that tell its generation."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    facts = {name.strip(): value for name, value in facts.items()}
    name = facts.get("model name") or platform.machine()
    numbers = [f"{n} {facts[n]}" for n in ("cpu family", "model") if n in facts]
    return f"{name} ({', '.join(numbers)})" if numbers else name
