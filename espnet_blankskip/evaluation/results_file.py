"""RESULTS.md: one section per test set, with what is needed to repeat it."""

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import List, Sequence, Tuple

from espnet_blankskip.espnet_version import find_espnet
from espnet_blankskip.kaldi.whole_file import write_whole

HEADING = "## "


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned Markdown table; all columns but the first are numbers."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(cells, widths))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = ["-" * widths[0]] + ["-" * (w - 1) + ":" for w in widths[1:]]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def write_section(path: Path, name: str, text: str) -> None:
    """Replace or add one section; the others stay as they are.

    Args:
        path: The file.
        name: Heading of the section.
        text: What stands below it.
    """
    sections = {}
    if path.is_file():
        for part in path.read_text(encoding="utf-8").split(f"\n{HEADING}")[1:]:
            heading, _, body = part.partition("\n")
            sections[heading.strip()] = body.strip("\n")
    sections[name] = text
    body = "".join(f"\n{HEADING}{k}\n\n{v}\n" for k, v in sections.items())
    write_whole(path, f"# Results of {path.parent.name}\n{body}")


def environment(num_threads: int) -> List[Tuple[str, str]]:
    """Return what the numbers depend on besides model and data."""
    packages = []
    for name in ("espnet_blankskip", "torch"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} (not installed as a package)")
    packages.append(f"espnet {find_espnet().version or 'of unknown version'}")
    lines = [
        ("date", time.strftime("%Y-%m-%d")),
        ("machine", f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()}"),
        ("threads", f"{num_threads} (of torch), float32, batch size 1"),
        ("software", ", ".join([f"python {platform.python_version()}", *packages])),
    ]
    commit = _commit()
    return lines + ([("commit", commit)] if commit else [])


def cpu_name() -> str:
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


def speech_kind(test_set: str, dump_folder: Path) -> str:
    """Return "human" or "synthetic" as data preparation noted it, else "unknown"."""
    return _noted("speech_kind", test_set, dump_folder) or "unknown"


def set_title(test_set: str, dump_folder: Path) -> str:
    """Return a set's name and, where its preparation noted it, what it is made of."""
    content = _noted("content", test_set, dump_folder)
    return f"{test_set} ({content})" if content else test_set


def _noted(name: str, test_set: str, dump_folder: Path) -> str:
    for folder in (dump_folder, Path("data") / test_set):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8").strip()
    return ""


def _commit() -> str:
    """Return the plugin's git commit, or "" outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
