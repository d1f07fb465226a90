"""Rows of results as a Markdown table, on the screen and in a file."""

import shlex
import sys
from pathlib import Path
from typing import Dict, Optional, Sequence


def markdown(rows: Sequence[Dict], columns: Sequence[str]) -> str:
    """Draw a table.

    Args:
        rows: results by heading; what a row does not have stays empty.
        columns: the headings, in order.
    """
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(str(row.get(c, "")) for c in columns) + " |")
    return "\n".join(lines)


def save_or_print(
    case: str,
    rows: Sequence[Dict],
    columns: Sequence[str],
    about: str,
    save: Optional[str] = None,
    argv: Optional[Sequence[str]] = None,
) -> None:
    """Print a table; with ``save``, add it to a Markdown file instead.

    Args:
        case: name of the case.
        rows, columns: as for :func:`markdown`.
        about: line that names the machine, threads and versions.
        save: the file, made if need be; None prints.
        argv: arguments of the case, for the command in the file; None takes those
            of this process.
    """
    table = markdown(rows, columns)
    if save is None:
        print(f"{about}\n\n{table}", flush=True)
        return
    arguments = shlex.join(sys.argv[2:] if argv is None else argv)
    command = f"python -m benchmarks {case} {arguments}".strip()
    with Path(save).open("a", encoding="utf-8") as f:
        f.write(f"## {case}\n\n`{command}`\n\n{about}\n\n{table}\n\n")
    print(f"added to {save}")
