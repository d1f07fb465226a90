"""Kaldi-style lists (``wav.scp``, ``text``, key files): the one grammar of the package.

A list is UTF-8 text, with or without a byte order mark. Its lines end at ``\\n`` or
``\\r\\n`` and nowhere else, whatever Unicode calls a line separator; a transcript may
hold any other character. A line's key ends at the first blank or tab, and what
follows is its value, which may be empty. A line without a key is passed over.
"""

import re
from pathlib import Path
from typing import Dict, Iterable, List, Sequence, Tuple, Union

from espnet_blankskip.kaldi.whole_file import write_whole

_SPACE = " \t"


class ListError(ValueError):
    """A list cannot be read; the message names it."""


def read_lines(path: Union[str, Path]) -> List[str]:
    """Lines of a text file, without their ends.

    Raises:
        ListError: The file is not UTF-8.
        OSError: It cannot be read.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ListError(f"{path} is not UTF-8 text: {error.reason}") from None
    lines = [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def read_rows(path: Union[str, Path]) -> List[Tuple[str, str]]:
    """Rows ``(key, value)`` in file order, keys that come twice included.

    Raises:
        ListError, OSError: As in `read_lines`.
    """
    return [(key, value) for _, key, value in _numbered_rows(path)]


def read_table(path: Union[str, Path]) -> Dict[str, str]:
    """Values by key, in file order.

    Raises:
        ListError: As in `read_lines`; also if a key is listed twice.
        OSError: As in `read_lines`.
    """
    table: Dict[str, str] = {}
    for number, key, value in _numbered_rows(path):
        if key in table:
            raise ListError(f"{path}, line {number}: '{key}' is listed twice")
        table[key] = value
    return table


def read_optional_table(path: Path) -> Dict[str, str]:
    """The same of a list that need not be there."""
    return read_table(path) if path.is_file() else {}


def write_rows(path: Path, rows: Iterable[Tuple[str, str]]) -> None:
    """Write rows in the order of ``LC_ALL=C sort``."""
    lines = [f"{key} {value}".rstrip(_SPACE) + "\n" for key, value in sorted(rows)]
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


def fields(line: str, most: int = 0) -> List[str]:
    """Fields of a line, of which there is always one.

    Args:
        line: Without its end.
        most: How many there are at most, the last one with all the rest; 0 is any.
    """
    return re.split(f"[{_SPACE}]+", line.strip(_SPACE), maxsplit=max(0, most - 1))


def _numbered_rows(path: Union[str, Path]) -> Iterable[Tuple[int, str, str]]:
    for number, line in enumerate(read_lines(path), 1):
        key, *value = fields(line, most=2)
        if key:
            yield number, key, "".join(value)
