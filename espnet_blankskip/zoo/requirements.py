"""What a packed checkpoint needs of the plugin, written into its meta.yaml."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any, Dict

import yaml

from espnet_blankskip.version import __version__, is_older
from espnet_blankskip.zoo.errors import CheckpointError

PLUGIN = "espnet_blankskip"
KEY = "requirements"  # in meta.yaml: {espnet_blankskip: VERSION}
_CHUNK = 1 << 20


def plugin_requirement() -> Dict[str, str]:
    """Requirements of a checkpoint that this installation packs."""
    return {PLUGIN: __version__}


def needs_plugin(config: Dict[str, Any]) -> bool:
    """Whether stock ESPnet alone cannot build this config."""
    encoder = str(config.get("encoder"))
    return encoder.startswith("blankskip_") or config.get("model") == "blankskip"


def require_plugin(zip_file: Path) -> None:
    """Write the requirement into a zip of ``espnet2.bin.pack``, if it has one.

    It goes into meta.yaml and, for loaders that do not read that, as stock
    Speech2Text, into the encoder's options.

    Args:
        zip_file: the packed model; replaced as a whole.
    """
    part = zip_file.with_name(f".{zip_file.name}.part")
    try:
        with zipfile.ZipFile(zip_file) as old:
            meta = yaml.safe_load(old.read("meta.yaml"))
            config_name = meta.get("yaml_files", {}).get("asr_train_config")
            if config_name is None:
                return
            config = yaml.safe_load(old.read(config_name))
            if not needs_plugin(config):
                return
            meta[KEY] = plugin_requirement()
            if str(config["encoder"]).startswith("blankskip_"):
                config["encoder_conf"]["requires_plugin"] = plugin_requirement()[PLUGIN]
            changed = {"meta.yaml": meta, config_name: config}
            with zipfile.ZipFile(part, "w") as new:
                for member in old.infolist():
                    # the source first: opening the sink moves the member's offset
                    with old.open(member) as source, new.open(member, "w") as sink:
                        if member.filename in changed:
                            sink.write(_as_yaml(changed[member.filename]))
                        else:
                            shutil.copyfileobj(source, sink, _CHUNK)
        os.replace(part, zip_file)
    finally:
        part.unlink(missing_ok=True)


def _as_yaml(values: Dict[str, Any]) -> bytes:
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode()


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
