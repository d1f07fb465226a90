"""What is done already, and with which options and inputs."""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from espnet_blankskip.kaldi.json_file import json_text, write_json

Facts = Dict[str, Any]


def content(path: Optional[Path]) -> str:
    """A short hash of a file's bytes; ``none`` where there is no file."""
    if path is None or not Path(path).is_file():
        return "none"
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()[:16]


def identity(path: Path) -> str:
    """A file told by its size and time: checkpoints are too large to read each time."""
    status = Path(path).stat()
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"


def read_marker(marker: Path) -> Optional[Facts]:
    """The facts a marker holds; None without a readable one."""
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def changed(marker: Path, facts: Facts) -> Optional[List[str]]:
    """Names of the facts that differ from the marker's; None without a marker."""
    old = read_marker(marker)
    if old is None:
        return None
    new = json.loads(json_text(facts))
    names = sorted({*old, *new})
    return [name for name in names if old.get(name) != new.get(name)]


def write_marker(marker: Path, facts: Facts) -> None:
    """Record what was done; the last step of a stage."""
    write_json(marker, facts)
