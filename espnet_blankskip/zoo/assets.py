"""The files that a config names beside the weights: tokenizer, statistics, symbols."""

import os
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from espnet_blankskip.checkpoint.assets import find_asset
from espnet_blankskip.zoo.errors import CheckpointError

# options of ESPnet's config that hold a path; a dot goes one level down
ASSET_OPTIONS = (
    "token_list",
    "bpemodel",
    "non_linguistic_symbols",
    "normalize_conf.stats_file",
)


def find_assets(
    config: Dict[str, Any], config_file: Path, source: str, root: Optional[Path]
) -> Tuple[Dict[str, Path], Dict[str, str]]:
    """Find the files a config names, and make their paths in it absolute.

    An archive has them where it says, or beside the config; for an experiment see
    ``find_asset``.

    Args:
        config: values of the config; changed in place.
        config_file: where it was read from.
        source: the checkpoint's name, for messages.
        root: folder of somebody else's archive, which paths may not leave; None
            for an experiment of the user's own.

    Returns:
        option -> file, and option -> path that was not found.

    Raises:
        CheckpointError: a path leaves ``root``.
    """
    assets, missing = {}, {}
    for option in ASSET_OPTIONS:
        section, key = _section(config, option)
        value = section.get(key) if section is not None else None
        if not isinstance(value, str) or value.lower() in ("", "none"):
            continue
        if option == "bpemodel" and config.get("token_type") != "bpe":
            continue  # the name of a public tokenizer, not a file
        if root is not None:
            _check_inside(source, option, value, root)
        found = _find(value, config_file, root)
        if found is None:
            missing[option] = value
        else:
            assets[option] = found
            section[key] = str(found)
    return assets, missing


def set_asset(config: Dict[str, Any], option: str, path: str) -> None:
    """Write an asset's new path into a config."""
    section, key = _section(config, option)
    section[key] = path


def _section(config: Dict[str, Any], option: str):
    *parents, key = option.split(".")
    for parent in parents:
        config = config.get(parent)
        if not isinstance(config, dict):
            return None, key
    return config, key


def _check_inside(source: str, option: str, value: str, root: Path) -> None:
    # Lexical on purpose: a Hugging Face snapshot is made of links to its blob store.
    target = os.path.normpath(os.path.join(root.absolute(), value))
    if not target.startswith(os.path.normpath(root.absolute()) + os.sep):
        raise CheckpointError(
            f"{source}: refused, its config's {option}={value} lies outside it"
        )


def _find(value: str, config_file: Path, root: Optional[Path]) -> Optional[Path]:
    if root is None:
        return find_asset(value, config_file)
    places = (root / value, config_file.parent / Path(value).name)
    return next((p.absolute() for p in places if p.is_file()), None)
