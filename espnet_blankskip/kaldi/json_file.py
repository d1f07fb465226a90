"""JSON that every program reads: Python's own has NaN and Infinity, JSON has not."""

import json
import math
import os
from pathlib import Path
from typing import Any

from espnet_blankskip.kaldi.whole_file import write_whole


def json_text(values: Any) -> str:
    """Plain values as JSON; a number that is not finite becomes null.

    Args:
        values: Dicts, lists, numbers, text and paths.
    """
    return json.dumps(_plain(values), indent=2, allow_nan=False) + "\n"


def write_json(path: Path, values: Any) -> None:
    """Write `json_text`, whole or not at all.

    Raises:
        OSError: It cannot be written; the file is as before.
    """
    write_whole(path, json_text(values))


def _plain(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _plain(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_plain(value) for value in values]
    if isinstance(values, os.PathLike):
        return os.fspath(values)
    lost = isinstance(values, float) and not math.isfinite(values)
    return None if lost else values
