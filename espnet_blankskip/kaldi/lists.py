"""Kaldi-style lists (``key value`` lines), written whole or not at all."""

from pathlib import Path
from typing import Dict, Iterable, List, Sequence, Tuple

from espnet_blankskip.kaldi.whole_file import write_whole


class ListError(ValueError):
    """A list cannot be read; the message names it."""


def read_rows(path: Path) -> List[Tuple[str, str]]:
    """Rows ``(key, rest of the line)`` in file order; blank lines are left out.

    Raises:
        ListError: The file is not UTF-8.
    """
    rows = []
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ListError(f"{path} is not UTF-8 text: {error}") from None
    for line in text.split("\n"):
        fields = line.split(maxsplit=1)
        if fields:
            rows.append((fields[0], fields[1].strip() if len(fields) > 1 else ""))
    return rows


def read_table(path: Path) -> Dict[str, str]:
    """The same rows by key."""
    return dict(read_rows(path))


def write_rows(path: Path, rows: Iterable[Tuple[str, str]]) -> None:
    """Write rows in the order of ``LC_ALL=C sort``."""
    lines = [f"{key} {value}".rstrip() + "\n" for key, value in sorted(rows)]
    write_whole(path, "".join(lines))


def split_rows(path: Path, parts: Sequence[Path]) -> None:
    """Split a list into consecutive parts whose lengths differ by one at most."""
    rows = read_rows(path)
    for number, part in enumerate(parts):
        first = len(rows) * number // len(parts)
        last = len(rows) * (number + 1) // len(parts)
        write_rows(part, rows[first:last])


def count_lines(path: Path) -> int:
    """Lines of a file; 0 where there is none yet."""
    if not path.is_file():
        return 0
    with path.open("rb") as lines:
        return sum(1 for _ in lines)
