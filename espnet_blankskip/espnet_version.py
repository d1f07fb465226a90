"""Which ESPnet is at hand, and whether the plugin can work with it.

The newest ESPnet says its version nowhere but in its distribution's metadata; a source
tree says it in ``version.txt``. Nothing here imports ESPnet.
"""

import importlib.metadata
import importlib.util
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from packaging.version import InvalidVersion, Version

logger = logging.getLogger(__name__)

OLDEST = "202511"
NEWEST = "202611"
INSTALL = "pip install 'espnet[asr,train]>=202511' torchaudio espnet_model_zoo"


class ESPnetUnusable(ImportError):
    """No ESPnet, or one that the plugin cannot work with; one line for the user."""


@dataclass(frozen=True)
class FoundESPnet:
    """The ESPnet that ``import espnet2`` takes.

    Attributes:
        version: such as "202511"; None where it says none.
        root: the folder that holds the package ``espnet2``.
        other: version of an installed ESPnet that this one hides, or None.
    """

    version: Optional[str]
    root: Path
    other: Optional[str] = None


def find_espnet() -> FoundESPnet:
    """Look for ESPnet without importing it.

    Raises:
        ESPnetUnusable: there is none; says what to install.
    """
    spec = importlib.util.find_spec("espnet2")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    if not places:
        raise ESPnetUnusable(f"ESPnet is not installed: {_how_to_install()}")
    package = Path(places[0]).resolve()
    try:
        installed = importlib.metadata.distribution("espnet")
    except importlib.metadata.PackageNotFoundError:
        return FoundESPnet(_version_of_tree(package.parent), package.parent)
    wheel = Path(str(installed.locate_file("espnet2"))).resolve()
    if wheel == package:
        return FoundESPnet(installed.version, package.parent)
    # an editable installation has no files of its own and is as old as its checkout
    version = _version_of_tree(package.parent)
    if not wheel.is_dir():
        return FoundESPnet(version or installed.version, package.parent)
    return FoundESPnet(version, package.parent, other=installed.version)


def check_espnet() -> FoundESPnet:
    """Find ESPnet and refuse one that cannot work.

    One that is newer than the plugin knows, or that hides another one, is taken with a
    warning.

    Raises:
        ESPnetUnusable: it is missing or too old; says what to install.
    """
    found = find_espnet()
    if found.other not in (None, found.version):
        logger.warning(
            "two ESPnets: %s in %s is used, and hides the %s installed; if that is not "
            "meant, take the tree off PYTHONPATH or pip uninstall espnet",
            found.version or "one of unknown version",
            found.root,
            found.other,
        )
    try:
        version = Version(str(found.version))
    except InvalidVersion:
        logger.warning("%s does not say which ESPnet it is; trying it", found.root)
        return found
    if version < Version(OLDEST):
        raise ESPnetUnusable(
            f"ESPnet {found.version} in {found.root} is too old for espnet_blankskip, "
            f"which works with {OLDEST} to {NEWEST}: {_how_to_install()}"
        )
    if version > Version(NEWEST):
        logger.warning(
            "ESPnet %s is newer than the newest that espnet_blankskip was tested with "
            "(%s); trying it",
            found.version,
            NEWEST,
        )
    return found


def _version_of_tree(root: Path) -> Optional[str]:
    for name in ("version.txt", "espnet/version.txt"):
        if (root / name).is_file():
            return (root / name).read_text(encoding="utf-8").strip()
    return None


def _how_to_install() -> str:
    if sys.version_info >= (3, 14):
        python = ".".join(map(str, sys.version_info[:2]))
        return (
            "ESPnet needs Python 3.12 or 3.13 (3.11 for 202511), and this is "
            f"{python}; there, {INSTALL}"
        )
    return INSTALL
