"""Train a blankskip_conformer with espnetez on spoken digits, and recognize one.

    pip install 'path/to/espnet_blankskip' six
    python examples/espnetez_train.py RECORDINGS OUTPUT

RECORDINGS is the folder of wav files of the Free Spoken Digit Dataset
(https://github.com/Jakobovski/free-spoken-digit-dataset), which are named
``{digit}_{speaker}_{number}.wav``. Numbers below 5 are the set's test part, and are
kept for validation here.
"""

import argparse
from pathlib import Path

import espnetez as ez
import numpy as np
import soundfile
import torch

import espnet_blankskip  # noqa: F401 (makes the plugin's names known to ESPnet)
from espnet_blankskip.inference import BlankSkipSpeech2Text

CONFIG = Path(__file__).parents[1] / "conf" / "train_asr_fsdd_blankskip_conformer.yaml"
WORDS = "zero one two three four five six seven eight nine".split()
TOKENS = ["<blank>", "<unk>", *WORDS, "<sos/eos>"]


def spoken_digits(recordings: Path):
    """List training and validation utterances as dicts of `audio` and `text`."""
    train, valid = [], []
    for path in sorted(recordings.glob("*.wav")):
        digit, _, number = path.stem.split("_")
        utterance = {"audio": path, "text": WORDS[int(digit)]}
        (valid if int(number) < 5 else train).append(utterance)
    if not train or not valid:
        raise SystemExit(f"{recordings} needs digits numbered below 5 and from 5 on")
    return train, valid


def token_ids(text: str) -> np.ndarray:
    """Ids of a transcript's words, for a dataset's text is not tokenized by ESPnet."""
    return np.array([TOKENS.index(word) for word in text.split()])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, help="folder of wav files")
    parser.add_argument("output", type=Path, help="folder of the trained model")
    parser.add_argument("--max-epoch", type=int, default=12, help="default: 12")
    arguments = parser.parse_args()

    train, valid = spoken_digits(arguments.recordings)
    columns = {
        "speech": lambda item: soundfile.read(item["audio"], dtype="float32")[0],
        "text": lambda item: token_ids(item["text"]),
    }
    config = ez.from_yaml("asr", CONFIG)
    config.update(
        token_list=TOKENS,
        token_type="word",
        max_epoch=arguments.max_epoch,
        batch_bins=160_000,  # samples: of so short utterances still some forty
        num_workers=0,
    )
    trainer = ez.Trainer(
        task="asr",
        train_config=config,
        train_dataset=ez.dataset.ESPnetEZDataset(train, columns),
        valid_dataset=ez.dataset.ESPnetEZDataset(valid, columns),
        output_dir=str(arguments.output),
        stats_dir=str(arguments.output / "stats"),
        ngpu=int(torch.cuda.is_available()),
    )
    trainer.collect_stats()
    trainer.train()

    recognizer = BlankSkipSpeech2Text(
        asr_model_file=arguments.output / "valid.loss.ave.pth"
    )
    samples, rate = soundfile.read(valid[0]["audio"])
    heard = recognizer.best_path(samples, rate)
    print(f"said: {valid[0]['text']}, heard: {heard.text}")


if __name__ == "__main__":
    main()
