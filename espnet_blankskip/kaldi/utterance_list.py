"""Kaldi-style lists (`wav.scp`, `text`, key files), read strictly."""

from pathlib import Path
from typing import Dict, Union


def read_utterances(path: Union[str, Path]) -> Dict[str, str]:
    """Read `utt_id value` lines; the value may be empty.

    Args:
        path: The list.

    Returns:
        Value by utterance id, in the order of the file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8, or lists an utterance twice.
    """
    table: Dict[str, str] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason}") from None
    for number, line in enumerate(lines, 1):
        columns = line.strip().split(maxsplit=1)
        if not columns:
            continue
        if columns[0] in table:
            raise ValueError(f"{path}:{number}: '{columns[0]}' is listed twice")
        table[columns[0]] = columns[1] if len(columns) > 1 else ""
    return table
