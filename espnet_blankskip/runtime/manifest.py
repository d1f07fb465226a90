"""What lies in an exported folder, and whether it still is what was exported."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from espnet_blankskip.audio.log_mel import LogMel
from espnet_blankskip.version import __version__, is_older

FORMAT = 1
FILE = "manifest.json"
#: The graph of each precision.
MODELS = {"float32": "model.onnx", "int8": "model.int8.onnx"}


@dataclass(frozen=True)
class Manifest:
    """Everything a runtime has to know beside the graph.

    Args:
        source: What was exported.
        source_sha256: Of its weights.
        encoder: The encoder's name in the training config.
        num_layers: Layers of the encoder.
        gate: ``gate_layers``, ``blank_threshold``, ``spike_extension``,
            ``conv_context`` and ``attn_context``; empty without a gate.
        waveform: Whether the graph takes samples, and not log-mel features.
        batches: Whether the graph takes several utterances at a time.
        log_mel: The front-end, in the graph or before it, as options of `LogMel`.
        min_samples: Fewest samples that make a frame.
        frame_shift: Seconds from one encoder frame to the next.
        first_centre: Second that encoder frame 0 is centred on.
        volume: Peak that audio is scaled to; 0: as it is.
        tokens: Tokens by id.
        tokenizer: Options of the training config that say how tokens make text;
            ``bpemodel`` names a file of the folder.
        files: SHA-256 of every file of the folder.
        versions: Of this package and of what it was exported with.
        format: Of this file.
    """

    source: str
    source_sha256: str
    encoder: str
    num_layers: int
    gate: Dict[str, Any]
    waveform: bool
    log_mel: Dict[str, Any]
    min_samples: int
    frame_shift: float
    first_centre: float
    volume: float
    tokens: List[str]
    tokenizer: Dict[str, Any]
    batches: bool = True
    files: Dict[str, str] = field(default_factory=dict)
    versions: Dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def front_end(self) -> LogMel:
        """Return the front-end."""
        return LogMel(**self.log_mel)

    @property
    def precisions(self) -> List[str]:
        """Return the precisions that the folder has graphs of."""
        return [name for name, file in MODELS.items() if file in self.files]

    def write(self, folder: Path) -> "Manifest":
        """Write it into a folder, with the hashes of what lies there.

        Returns:
            The manifest with the hashes.
        """
        files = {
            path.name: sha256(path)
            for path in sorted(folder.iterdir())
            if path.is_file() and path.name != FILE
        }
        values = {**asdict(self), "files": files}
        text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")
        return Manifest(**values)


def read_manifest(folder: Union[str, Path], check: Optional[List[str]] = None):
    """Read the manifest of an exported folder.

    Args:
        folder: The folder.
        check: Files whose content is held against its hash; None: all of them.

    Raises:
        FileNotFoundError: It, or a file that it lists, is missing.
        ValueError: It is no manifest, of a later version, or a file was altered.
    """
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {FILE}: is it a folder made by blankskip export?"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = int(values["format"])
        known = {f.name for f in fields(Manifest)}
        manifest = Manifest(**{k: v for k, v in values.items() if k in known})
    except (ValueError, KeyError, TypeError) as error:
        line = " ".join(str(error).split())
        raise ValueError(f"{path} is no manifest: {line}") from None
    made_by = manifest.versions.get("espnet_blankskip", __version__)
    if version > FORMAT:
        raise ValueError(
            f"{path} was made by espnet_blankskip {made_by}, newer than the "
            f"{__version__} installed"
            + ("" if is_older(__version__, made_by) else " here")
        )
    for name in manifest.files if check is None else check:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing; export it again")
        if sha256(folder / name) != manifest.files.get(name):
            raise ValueError(
                f"{folder / name} is not the file that was exported (its SHA-256 "
                f"differs from the one in {FILE}); export it again"
            )
    return manifest


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:  # hashlib.file_digest is not in Python 3.9 and 3.10
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
