"""The files that a training config names, found wherever its experiment lies now."""

from pathlib import Path
from typing import Iterator, Optional


def find_asset(value: str, config_file: Path) -> Optional[Path]:
    """Find a file that a config of the user's own names.

    ESPnet writes paths relative to the folder that it ran in, or absolute ones. An
    experiment may be looked at from anywhere, through a link, or after it was moved.
    So a path is looked for from each folder above the config and above what the
    config's folder is a link to, from the current folder, and beside the config; an
    absolute one that is gone, by as much of its end as is found there.

    Args:
        value: Path in the config.
        config_file: Where the config was read from.

    Returns:
        The file's absolute path, or None.
    """
    places = _places(Path(value), config_file)
    return next((place.absolute() for place in places if place.is_file()), None)


def _places(value: Path, config_file: Path) -> Iterator[Path]:
    above = [*config_file.absolute().parents, *config_file.resolve().parents]
    if value.is_absolute():
        yield value
        for first in range(1, len(value.parts) - 1):
            yield from (folder.joinpath(*value.parts[first:]) for folder in above)
    else:
        yield from (folder / value for folder in above)
        yield value
    yield config_file.parent / value.name
    yield config_file.resolve().parent / value.name
