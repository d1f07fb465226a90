"""What a packed checkpoint needs of the plugin, written into its meta.yaml."""

from typing import Any, Dict

from espnet_blankskip.version import __version__, is_older
from espnet_blankskip.zoo.errors import CheckpointError

PLUGIN = "espnet_blankskip"
KEY = "requirements"  # in meta.yaml: {espnet_blankskip: VERSION}


def plugin_requirement() -> Dict[str, str]:
    """Requirements of a checkpoint that this installation packs."""
    return {PLUGIN: __version__}


def needs_plugin(config: Dict[str, Any]) -> bool:
    """Whether stock ESPnet alone cannot build this config."""
    encoder = str(config.get("encoder"))
    return encoder.startswith("blankskip_") or config.get("model") == "blankskip"


def check_plugin_version(meta: Dict[str, Any], source: str) -> None:
    """Check that this plugin is new enough for a packed checkpoint.

    Raises:
        CheckpointError: it is older than the one that packed it; says what to install.
    """
    requirements = meta.get(KEY)
    needed = requirements.get(PLUGIN) if isinstance(requirements, dict) else None
    if needed is None:
        return
    try:
        newer = is_older(__version__, needed)
    except ValueError:
        raise CheckpointError(
            f"{source}: meta.yaml asks for {PLUGIN} {needed!r}, which is no version"
        ) from None
    if newer:
        raise CheckpointError(
            f"{source}: packed with {PLUGIN} {needed}, newer than the {__version__} "
            f"installed: pip install '{PLUGIN}>={needed}'"
        )
