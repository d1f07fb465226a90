"""``blankskip pack``: an experiment as a zip that says what it needs.

``espnet2.bin.pack`` does the packing. Its meta.yaml knows nothing of plugins, so the
requirement is added to it afterwards; a model card for people to read goes in, too.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional

import yaml

from espnet_blankskip.children import run_program
from espnet_blankskip.locks import locked
from espnet_blankskip.temporary import temporary_folder, vanishing
from espnet_blankskip.upstream import PACK_MODULE
from espnet_blankskip.zoo.archive import Checkpoint, open_checkpoint
from espnet_blankskip.zoo.assets import set_asset
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.inspection import Inspection, look_inside
from espnet_blankskip.zoo.model_card import model_card
from espnet_blankskip.zoo.model_loading import check_loadable
from espnet_blankskip.zoo.requirements import (
    needs_plugin,
    plugin_requirement,
    require_plugin,
)
from espnet_blankskip.zoo.weights import read_weights, write_weights
from espnet_blankskip.zoo.weights_file import plain_name

#: Of files in a zip; some tools date everything 1970.
_ZIP_YEARS = (1980, 2107)


def pack_checkpoint(
    source: str,
    target: str,
    results: Optional[str] = None,
    model_file: Optional[str] = None,
) -> Inspection:
    """Pack an experiment.

    Args:
        source: experiment folder (or anything that ``open_checkpoint`` takes).
        target: the zip to write; replaced as a whole if it exists.
        results: the measured table; None takes RESULTS.md beside the config, if any.
        model_file: weights to pack, instead of those a recipe would decode with.

    Returns:
        What ``inspect`` says of the zip.

    Raises:
        CheckpointError: the experiment cannot be loaded, a file is missing, or
            packing failed. No half-written zip stays.
    """
    zip_file = Path(target).absolute()
    if zip_file.suffix != ".zip":
        raise CheckpointError(f"{target}: the packed file's name must end in .zip")
    checkpoint = open_checkpoint(source, model_file)
    found = look_inside(checkpoint)
    check_loadable(checkpoint, found)
    table = _find_results(checkpoint, results)
    with locked(zip_file, "blankskip pack"), temporary_folder("pack") as stage:
        where = Path("exp") / _name_of(checkpoint, zip_file)
        extras = _lay_out(stage, where, checkpoint, found, table, zip_file.name)
        packed = _run_espnet_pack(
            stage,
            where,
            checkpoint.task,
            plain_name(checkpoint.model_file),
            extras,
        )
        require_plugin(packed)
        _put_in_place(packed, zip_file)
    return look_inside(open_checkpoint(str(zip_file)))


def _find_results(checkpoint: Checkpoint, results: Optional[str]) -> Optional[str]:
    path = Path(results) if results else checkpoint.config_file.parent / "RESULTS.md"
    if not path.is_file():
        if results:
            raise CheckpointError(f"--results {results}: no such file")
        return None
    return path.read_text(encoding="utf-8")


def _name_of(checkpoint: Checkpoint, zip_file: Path) -> str:
    folder = checkpoint.config_file.absolute().parent.name
    return folder if checkpoint.kind == "experiment" else zip_file.stem


def _lay_out(
    stage: Path,
    where: Path,
    checkpoint: Checkpoint,
    found: Inspection,
    table: Optional[str],
    zip_name: str,
) -> List[str]:
    """Gather the files under the names that they will have in the zip.

    Returns:
        Names of the files beside config and weights.
    """
    (stage / where).mkdir(parents=True)
    config, extras = checkpoint.config, []
    weights = checkpoint.model_file
    if plain_name(weights) == weights.name:
        _link(weights, stage / where / weights.name)
    else:  # what Lightning needs to go on training is no use to others
        write_weights(read_weights(weights), stage / where / plain_name(weights))
    for option, path in checkpoint.assets.items():
        # ESPnet replaces every value that is a name in the zip when it unpacks.
        name = str(where / path.name)
        shutil.copyfile(path, stage / name)
        set_asset(config, option, name)
        extras.append(name)
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
    (stage / where / "config.yaml").write_text(text, encoding="utf-8")
    if table is not None:
        extras.append(str(where / "RESULTS.md"))
        (stage / extras[-1]).write_text(table, encoding="utf-8")
    conversion = checkpoint.config_file.parent / "conversion.json"
    if conversion.is_file():
        extras.append(str(where / "conversion.json"))
        shutil.copyfile(conversion, stage / extras[-1])
    plugin = plugin_requirement() if needs_plugin(config) else {}
    lines = [f"espnet>={found.espnet}"] if found.espnet else ["espnet"]
    lines += [f"{name}>={version}" for name, version in plugin.items()]
    (stage / "requirements.txt").write_text("\n".join(lines) + "\n")
    card = model_card(found, zip_name, lines, table)
    (stage / "README.md").write_text(card, encoding="utf-8")
    return extras + ["requirements.txt", "README.md"]


def _link(source: Path, target: Path) -> None:
    """Give a large file a second name, or copy it where that cannot be."""
    dated = time.gmtime(source.stat().st_mtime).tm_year
    try:
        if not _ZIP_YEARS[0] <= dated <= _ZIP_YEARS[1]:
            raise OSError("its date does not fit into a zip, that of a copy does")
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _run_espnet_pack(
    stage: Path, where: Path, task: str, model_name: str, extras: List[str]
) -> Path:
    command = [sys.executable, "-m", PACK_MODULE, task]
    command += [f"--{task}_train_config", str(where / "config.yaml")]
    command += [f"--{task}_model_file", str(where / model_name)]
    for name in extras:
        command += ["--option", name]
    command += ["--outpath", "packed.zip"]
    pipe = subprocess.PIPE
    done = run_program(command, cwd=stage, stdout=pipe, stderr=pipe, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise CheckpointError(f"{PACK_MODULE} failed: {last[0]}")
    return stage / "packed.zip"


def _put_in_place(packed: Path, zip_file: Path) -> None:
    zip_file.parent.mkdir(parents=True, exist_ok=True)
    with vanishing(zip_file.with_name(f".{zip_file.name}.part")) as part:
        shutil.copyfile(packed, part)
        os.replace(part, zip_file)
