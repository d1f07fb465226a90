"""``conf/slurm.conf``: how options of ``slurm.pl`` become options of sbatch.

The lines that ESPnet's ``slurm.pl`` reads (after Kaldi's)::

    command sbatch --export=PATH     # how jobs are submitted
    option mem=* --mem-per-cpu $0    # for --mem VALUE; $0 is the value
    option mem=0                     # for --mem 0: nothing
    default gpu=0                    # as if --gpu 0 were given, where it is not

A later line for the same option and value wins.
"""

import shlex
from pathlib import Path
from typing import Dict, List, Tuple

ANY = "*"
#: Options of slurm.pl itself.
OWN_OPTIONS = ("config", "max_jobs_run")


class SlurmConf:
    """A configuration of slurm.pl.

    Args:
        path: The file.

    Raises:
        ValueError: It cannot be read or is not understood.
    """

    def __init__(self, path: Path):
        self.path = path
        self.command: List[str] = []
        self._rules: Dict[Tuple[str, str], str] = {}
        self._defaults: Dict[str, str] = {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split(maxsplit=2)
            if words and not self._understand(words):
                raise ValueError(
                    f"{path}:{number}: '{line}' must begin with command ..., "
                    "option NAME=VALUE or default NAME=VALUE"
                )
        if not self.command:
            raise ValueError(f"{path} has no line 'command sbatch ...'")

    def _understand(self, words: List[str]) -> bool:
        """Take in one line; False if it is no such line."""
        kind, rest = words[0], " ".join(words[1:])
        if kind == "command" and rest:
            self.command = shlex.split(rest)
            return True
        if kind not in ("option", "default") or len(words) < 2:
            return False
        name, equals, value = words[1].partition("=")
        if kind == "option":
            self._rules[name, value] = words[2] if len(words) > 2 else ""
        else:
            self._defaults[name] = value
        return bool(name and equals and value)

    def arguments(self, options: Dict[str, str]) -> List[str]:
        """Arguments of sbatch for options of slurm.pl.

        Args:
            options: Value by name.

        Raises:
            ValueError: The file does not describe one of them.
        """
        found: List[str] = []
        for name, value in {**self._defaults, **options}.items():
            if name in OWN_OPTIONS:
                continue
            rule = self._rules.get((name, value), self._rules.get((name, ANY)))
            if rule is None:
                raise ValueError(f"--{name} {value} is not described in {self.path}")
            found += shlex.split(rule.replace("$0", value))
        return found
