"""A recipe folder of its own for each test, and calls of run.sh in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from espnet_blankskip.kaldi.lists import write_rows

REPOSITORY = Path(__file__).parents[2]
SETS = ("train_nodev", "train_dev", "test")
RATE = 8000


def make_recipe(folder: Path) -> Path:
    """Copy egs2_recipe/asr1 without what a run has left in it."""
    made = shutil.ignore_patterns("data", "dump", "exp", "downloads")
    source = REPOSITORY / "egs2_recipe" / "asr1"
    return Path(shutil.copytree(source, folder / "asr1", ignore=made))


def environment() -> dict:
    """The environment with this Python's programs first and one thread."""
    programs = Path(sys.executable).parent
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return dict(os.environ, PATH=path, VIRTUAL_ENV="active", OMP_NUM_THREADS="1")


def run_sh(folder: Path, *options) -> subprocess.CompletedProcess:
    """Call run.sh in a recipe folder and catch what it prints."""
    return subprocess.run(
        ["./run.sh", *map(str, options)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )


def start_run_sh(folder: Path, *options, **variables) -> subprocess.Popen:
    """The same without waiting for it to end, with more environment variables."""
    return subprocess.Popen(
        ["./run.sh", *map(str, options)],
        cwd=folder,
        env={**environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    """A quiet 440 Hz tone (samples,)."""
    return 0.1 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


def make_data(folder: Path, count: int = 4, rate: int = RATE) -> None:
    """Three good data sets, ``data/SET``, with ``count`` utterances of one second."""
    for name in SETS:
        data = folder / "data" / name
        (data / "wav").mkdir(parents=True)
        rows = {"wav.scp": [], "text": [], "utt2spk": []}
        for number in range(count):
            utt_id = f"spk{number % 2}-{name}-{number}"
            path = data / "wav" / f"{utt_id}.wav"
            soundfile.write(path, tone(1.0 + 0.1 * number, rate), rate)
            rows["wav.scp"].append((utt_id, str(path)))
            rows["text"].append((utt_id, "one two"))
            rows["utt2spk"].append((utt_id, f"spk{number % 2}"))
        for list_name, content in rows.items():
            write_rows(data / list_name, content)
