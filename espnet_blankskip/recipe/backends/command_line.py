"""The options that ESPnet's run.pl and slurm.pl have in common."""

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence


@dataclass(frozen=True)
class CommandLine:
    """``slurm.pl --mem 4G -p cpu``, taken apart.

    Args:
        program: Its name.
        options: Values of the options with two dashes, by name (``num_threads``).
        passed_on: Options with one dash and their values, which the scheduler gets
            as they are.
    """

    program: str
    options: Dict[str, str]
    passed_on: List[str]

    @property
    def max_jobs_run(self) -> Optional[int]:
        """Most jobs of an array that run at the same time; None for all."""
        value = self.options.get("max_jobs_run")
        return None if value is None else int(value)


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Take a command apart.

    Raises:
        ValueError: An option has no value, or a wrong one.
    """
    if not words:
        raise ValueError("empty")
    options: Dict[str, str] = {}
    passed_on: List[str] = []
    rest = list(words[1:])
    while rest:
        name = rest.pop(0)
        if not name.startswith("-"):
            raise ValueError(f"'{name}' is no option")
        if not rest:
            raise ValueError(f"{name} needs a value")
        value = rest.pop(0)
        if name.startswith("--"):
            options[name[2:].replace("-", "_")] = value
        else:
            passed_on += [name, value]
    limit = options.get("max_jobs_run", "1")
    if not limit.isdigit() or int(limit) < 1:
        raise ValueError(f"--max-jobs-run {limit} must be at least 1")
    return CommandLine(words[0], options, passed_on)
