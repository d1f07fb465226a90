"""A recipe of ESPnet3 in a folder: four spoken digits and a model of a few thousand."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import soundfile
import yaml
from real_speech import digit_files
from tiny_experiment import train_config

# this folder is no package, but looks like one to Python where it is the only espnet3
_FOUND = importlib.util.find_spec("espnet3")
HAS_ESPNET3 = _FOUND is not None and _FOUND.origin is not None
needs_espnet3 = pytest.mark.skipif(
    not HAS_ESPNET3, reason="no ESPnet3: it comes with ESPnet 202609 and newer"
)

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs3_recipe"
WORDS = ["zero", "one", "two", "three", "four"]
TOKENS = ["<blank>", "<unk>", *WORDS, "<sos/eos>"]
SAMPLES = 5000  # of one length, because ESPnet's STFT reads a little of what pads
# the halves of two processes are every second utterance of the whole
WHOLE, HALVES = [0, 1, 2, 3], [0, 2, 1, 3]
# of processes that run the recipe: the package, and the probe beside this file
ENVIRONMENT = dict(
    os.environ,
    OMP_NUM_THREADS="1",
    PYTHONPATH=os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
)


def write_data(folder: Path) -> None:
    """Write data/digits: a Kaldi-style folder of four utterances, 8 kHz."""
    digits = folder / "data" / "digits"
    digits.mkdir(parents=True)
    wav, text = [], []
    for n, found in enumerate(digit_files(*(f"{n}_jackson_7" for n in range(1, 5))), 1):
        samples, rate = soundfile.read(found)
        path = digits / f"{n}.wav"
        soundfile.write(path, np.pad(samples, (0, SAMPLES))[:SAMPLES], rate)
        wav.append(f"utt{n} {path}\n")
        text.append(f"utt{n} {WORDS[n]}\n")
    (digits / "wav.scp").write_text("".join(wav))
    (digits / "text").write_text("".join(text))
    for name in ("none.model", "none.vocab"):  # a word model needs no tokenizer
        (folder / "data" / name).touch()
    for name, order in dict(whole=WHOLE, halves=HALVES).items():
        lines = "".join(f"{n} {SAMPLES}\n" for n in order)
        (folder / "data" / name).write_text(lines)


def make_recipe(folder: Path) -> Path:
    """Copy the recipe and give it the data; return the folder."""
    ignore = shutil.ignore_patterns("data", "downloads", "exp", "__pycache__")
    shutil.copytree(RECIPE, folder, ignore=ignore)
    write_data(folder)
    return folder


def model_section(encoder: str, kd_warmup_steps: int) -> dict:
    """The tiny model as `model:` of a training.yaml."""
    config = train_config(factorized=True, encoder=encoder, token_list=TOKENS)
    for option in ("token_type", "bpemodel", "non_linguistic_symbols", "cleaner"):
        config.pop(option)
    config.pop("g2p")
    config.pop("use_preprocessor")
    config["model_conf"].update(kd_weight=0.5, kd_warmup_steps=kd_warmup_steps)
    config["encoder_conf"].update(
        blank_threshold=0.5, positional_dropout_rate=0.0, attention_dropout_rate=0.0
    )
    if encoder == "blankskip_transformer":
        for name in ("rel_pos_type", "macaron_style", "cnn_module_kernel"):
            config["encoder_conf"].pop(name)
    return config


def write_training(
    recipe: Path,
    name: str,
    encoder: str = "blankskip_conformer",
    shapes: str = "whole",
    batch_size: int = 4,
    warmup_steps: int = 0,
    resume: str = "",
    parallel: Optional[dict] = None,
    **trainer,
) -> Path:
    """Write conf/NAME.yaml, which trains on the four utterances in a given order.

    Args:
        warmup_steps: Batches before distillation starts.
        resume: Name of the training that it goes on with.
        parallel: Where statistics are collected; None: in one worker.
        **trainer: Options of Lightning's trainer.
    """
    devices, exp = trainer.get("devices", 1), f"exp/{name}"
    data = [{"data_src_args": {"folder": "data/digits"}}]

    def loader(shape_file, size):
        return {
            "batch_distribution": "global" if devices > 1 else "per_gpu",
            "iter_factory": {
                "shuffle": False,
                "batches": {
                    "type": "unsorted",
                    "batch_size": size,
                    "shape_files": [f"data/{shape_file}"],
                },
            },
        }

    config = {
        "task": "espnet_blankskip.espnet3.ASRTask",
        "num_device": devices,
        "seed": 8,
        "dataset_dir": "data",
        "dataset": {
            "train": data,
            "valid": data,
            "preprocessor": {
                "_target_": "espnet2.train.preprocessor.CommonPreprocessor",
                "token_type": "word",
                "token_list": TOKENS,
            },
        },
        "tokenizer": {"save_path": "data", "model_type": "none"},
        "model": model_section(encoder, kd_warmup_steps=warmup_steps),
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.01, "weight_decay": 0},
        "scheduler": {"warmup_steps": 1},
        "dataloader": {
            "train": loader(shapes, batch_size),
            "valid": loader("whole", 4),
        },
        "trainer": {
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            "callbacks": [{"_target_": "training_probe.Probe", "folder": exp}],
            "logger": [
                {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": exp}
            ],
            **trainer,
        },
        "parallel": parallel or {"env": "local", "n_workers": 1},
        "fit": {"ckpt_path": f"exp/{resume}/last.ckpt"} if resume else {},
    }
    path = recipe / "conf" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def run(recipe: Path, *arguments: str, timeout: int = 300) -> str:
    """Run python in the recipe's folder; its output, errors included."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=recipe,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout
