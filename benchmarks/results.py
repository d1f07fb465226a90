"""What a case measured: printed, and kept in a folder for the report."""

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

RESULTS_FILE = "results.jsonl"


@dataclass(frozen=True)
class Result:
    """One table.

    Args:
        case: Name of the case.
        command: Command line that made it.
        about: Line that names the machine, threads, data and versions.
        columns: Headings, in order.
        rows: Cells by heading; what a row does not have stays empty.
    """

    case: str
    command: str
    about: str
    columns: List[str]
    rows: List[Dict[str, str]]

    def markdown(self) -> str:
        """Draw the table."""
        lines = [_line(self.columns), "|" + "---|" * len(self.columns)]
        lines += [_line([row.get(c, "") for c in self.columns]) for row in self.rows]
        return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def number(cell: str) -> float:
    """Read a cell such as ``1.83x`` or ``30%``."""
    return float(cell.rstrip("x%"))


def command_line(case: str, argv: Sequence[str]) -> str:
    """The command that runs a case, without the option that only says where to keep
    its result."""
    words = list(argv)
    while "--save" in words:
        at = words.index("--save")
        del words[at : at + 2]
    return shlex.join(["python", "-m", "benchmarks", case, *words])


def publish(
    case: str,
    rows: Sequence[Dict[str, str]],
    columns: Sequence[str],
    about: str,
    argv: Sequence[str],
    folder: Optional[Path] = None,
) -> None:
    """Print a table and, with a folder, keep it there.

    Args:
        case, rows, columns, about: As in :class:`Result`.
        argv: Arguments of the case.
        folder: Where to keep it; a result of the same command is replaced.
    """
    result = Result(case, command_line(case, argv), about, list(columns), list(rows))
    print(f"{about}\n\n{result.markdown()}", flush=True)
    if folder is None:
        return
    others = [r for r in read_results(folder) if r.command != result.command]
    lines = [json.dumps(asdict(r)) + "\n" for r in (*others, result)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS_FILE).write_text("".join(lines), encoding="utf-8")
    print(f"\nkept in {folder / RESULTS_FILE}")


def read_results(folder: Path) -> List[Result]:
    """Read what is kept in a folder, in the order of measurement."""
    file = folder / RESULTS_FILE
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Result(**json.loads(line)) for line in lines]
