"""Open a checkpoint of any kind: zoo tag, zip, folder or experiment.

What comes out is the same for all: the config as plain values, the file with the
weights, and where the tokenizer and statistics lie. Nothing of it is executed.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional

import yaml

from espnet_blankskip.checkpoint.espnet3_config import with_tokenizer
from espnet_blankskip.checkpoint.normalization import OPTION as STATISTICS
from espnet_blankskip.checkpoint.normalization import write_statistics
from espnet_blankskip.checkpoint.s2t_ctc_building import is_s2t_ctc
from espnet_blankskip.temporary import folder_until_exit
from espnet_blankskip.terminal import one_line
from espnet_blankskip.zoo.assets import find_assets, set_asset
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.requirements import check_plugin_version
from espnet_blankskip.zoo.unpacking import unpack_zip
from espnet_blankskip.zoo.weights_file import SUFFIXES, choose_weights

MAX_CONFIG_BYTES = 64 << 20
MAX_NESTING = 64
TASKS = ("asr", "s2t")
_TAG = re.compile(r"[\w.-]+/[\w.,+=-]+(@[\w.-]+)?")


@dataclass
class Checkpoint:
    """A checkpoint on this machine's disk.

    Attributes:
        source: what the user asked for.
        kind: "zoo", "zip", "folder" (unpacked, with meta.yaml) or "experiment".
        config_file: ESPnet's training config.
        model_file: the state dict.
        config: values of ``config_file``; paths that were found are absolute.
        meta: values of meta.yaml, {} for an experiment.
        task: ESPnet's name of the task, "asr" or "s2t".
        assets: option -> file that it names (``bpemodel``, ...).
        missing: option -> path that was not found.
    """

    source: str
    kind: str
    config_file: Path
    model_file: Path
    config: Dict[str, Any]
    meta: Dict[str, Any] = field(default_factory=dict)
    task: str = "asr"
    assets: Dict[str, Path] = field(default_factory=dict)
    missing: Dict[str, str] = field(default_factory=dict)

    @property
    def was_only_converted(self) -> bool:
        """Whether `blankskip convert` wrote it, and no training since."""
        return (self.model_file.parent / "conversion.json").is_file()


def open_checkpoint(source: str, model_file: Optional[str] = None) -> Checkpoint:
    """Find a checkpoint's config, weights and assets.

    Args:
        source: a zip; a folder with meta.yaml, as ``espnet_model_zoo`` and Hugging
            Face have it; an experiment folder of ESPnet2 or ESPnet3, or one of its
            .pth or .ckpt files; or a tag of ``espnet_model_zoo``, which is fetched.
        model_file: weights to take instead of the default ones, for an experiment.

    Returns:
        Checkpoint. Files of a zip live in a temporary folder until the process ends.

    Raises:
        CheckpointError: naming what is missing, damaged or refused.
    """
    path = Path(source)
    kind = None
    if not path.exists():
        path, kind = fetch_tag(source), "zoo"
    if path.is_file() and path.suffix in SUFFIXES:
        return _open_experiment(source, path.parent, path)
    if path.is_dir():
        if (path / "meta.yaml").is_file():
            return _open_packed(source, kind or "folder", path, path / "meta.yaml")
        chosen = Path(model_file) if model_file else None
        return _open_experiment(source, path, chosen)
    if path.suffix != ".zip":
        raise CheckpointError(
            f"{source}: not a checkpoint (a .zip, a folder, an experiment folder or "
            "its .pth or .ckpt file)"
        )
    root = folder_until_exit("zip")  # a tokenizer is read long after its model
    unpack_zip(path, root)
    metas = sorted(root.rglob("meta.yaml"), key=lambda p: len(p.parts))
    if metas:
        return _open_packed(source, kind or "zip", root, metas[0])
    configs = sorted(root.rglob("config.yaml"), key=lambda p: len(p.parts))
    if not configs:
        raise CheckpointError(f"{source}: it holds neither meta.yaml nor config.yaml")
    return _open_experiment(source, configs[0].parent, None, kind or "zip", root)


def supply_statistics(checkpoint: Checkpoint, state) -> None:
    """Write the statistics that its weights hold into the file that it lacks."""
    name = Path(checkpoint.missing.pop(STATISTICS)).name
    path = folder_until_exit("statistics") / name
    write_statistics(state, path)
    checkpoint.assets[STATISTICS] = path
    set_asset(checkpoint.config, STATISTICS, str(path))


def fetch_tag(tag: str) -> Path:
    """Fetch a tag of ``espnet_model_zoo`` into its cache.

    Returns:
        A zip, or a folder in Hugging Face's layout.

    Raises:
        CheckpointError: it is no tag, or cannot be fetched.
    """
    if not _TAG.fullmatch(tag) and not tag.startswith(("http://", "https://")):
        raise CheckpointError(f"{tag}: no such file or folder, nor a zoo tag USER/NAME")
    from espnet_blankskip.upstream import model_downloader

    try:
        return Path(model_downloader()().download(tag))
    except Exception as error:  # every layer of the network stack has its own
        reason = type(error).__name__
        raise CheckpointError(
            f"{tag}: no such file or folder, and espnet_model_zoo cannot fetch it "
            f"({reason}): check the spelling and the network, or give a local zip"
        ) from None


def read_yaml(path: Path) -> Dict[str, Any]:
    """Read a YAML mapping of plain values.

    Raises:
        CheckpointError: it is missing, too large, damaged or something else.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointError(f"{path}: refused, too large for a config")
    # The C parser reads a config with 50,000 tokens in a blink, and is as safe.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = path.read_bytes()
    try:
        _check_nesting(path, text, loader)
        values = yaml.load(text, Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a plain YAML file: {one_line(error)}"
        ) from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: not a YAML mapping")
    return values


def _check_nesting(path: Path, text: bytes, loader) -> None:
    """Refuse YAML that is nested so deep that the C parser would crash on it."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_NESTING:
            raise CheckpointError(f"{path}: refused, nested too deep for a config")


def _open_packed(source: str, kind: str, root: Path, meta_file: Path) -> Checkpoint:
    """Open a folder whose meta.yaml says what is what."""
    meta = read_yaml(meta_file)
    listed = {}
    for section in ("yaml_files", "files"):
        entries = meta.get(section)
        if not isinstance(entries, dict):
            raise CheckpointError(f"{source}: meta.yaml lacks '{section}'")
        listed.update(entries)
    task = next((t for t in TASKS if f"{t}_model_file" in listed), None)
    if task is None or f"{task}_train_config" not in listed:
        raise CheckpointError(
            f"{source}: not a speech recognition checkpoint (meta.yaml lists "
            f"{', '.join(sorted(map(str, listed))) or 'nothing'}; asr_train_config "
            "and asr_model_file are needed)"
        )
    check_plugin_version(meta, source)
    config_file = _inside(source, root, listed[f"{task}_train_config"])
    model_file = _inside(source, root, listed[f"{task}_model_file"])
    config = with_tokenizer(read_yaml(config_file))
    assets, missing = find_assets(config, config_file, source, root)
    return Checkpoint(
        source, kind, config_file, model_file, config, meta, task, assets, missing
    )


def _inside(source: str, root: Path, name: Any) -> Path:
    """A file that meta.yaml names, which must lie below its folder."""
    path = Path(str(name))
    if path.is_absolute() or ".." in path.parts:
        raise CheckpointError(f"{source}: refused, meta.yaml names {name} outside it")
    if not (root / path).is_file():
        raise CheckpointError(f"{source}: meta.yaml names {name}, which it lacks")
    return root / path


def _open_experiment(
    source: str,
    folder: Path,
    model_file: Optional[Path],
    kind: str = "experiment",
    root: Optional[Path] = None,
) -> Checkpoint:
    """Open a folder with config.yaml and .pth or .ckpt files.

    Args:
        root: folder that the config may not name files outside of; None trusts it.
    """
    config_file = folder / "config.yaml"
    if not config_file.is_file():
        if (folder / "manifest.json").is_file():
            raise CheckpointError(
                f"{source}: blankskip export wrote it, for transcribe and verify "
                "alone; give the checkpoint that it was made from"
            )
        raise CheckpointError(
            f"{source}: no config.yaml (which ESPnet writes into the experiment "
            "folder) and no meta.yaml"
        )
    config = with_tokenizer(read_yaml(config_file))
    if model_file is None:
        model_file = choose_weights(folder, config, source)
    elif not model_file.is_file():
        raise CheckpointError(f"{model_file}: no such file")
    assets, missing = find_assets(config, config_file, source, root)
    return Checkpoint(
        source,
        kind,
        config_file,
        model_file,
        config,
        task=task_of(config),
        assets=assets,
        missing=missing,
    )


def task_of(config: Dict[str, Any]) -> str:
    """ESPnet's task that wrote a training config, "asr" or "s2t"."""
    is_s2t = str(config.get("preprocessor")).startswith("s2t") or is_s2t_ctc(config)
    return "s2t" if is_s2t else "asr"
