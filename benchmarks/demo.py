"""What ``make demo`` leaves behind, and speech of any length made of it."""

import argparse
from pathlib import Path

import soundfile

from espnet_blankskip.kaldi.lists import read_table

RECIPE = Path("egs2_recipe/asr1")
EXPERIMENT = RECIPE / "exp/asr_train_asr_demo_blankskip_conformer_raw_word"


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the checkpoint and the recordings, by default the demo's."""
    parser.add_argument("--model", default=str(EXPERIMENT), help="checkpoint")
    parser.add_argument(
        "--wav-scp",
        type=Path,
        default=RECIPE / "dump/raw/test_long/wav.scp",
        help="recordings to string together; paths relative to the recipe's folder",
    )


def demo_is_missing(args) -> bool:
    """Whether one of them does not exist, which is then said."""
    if Path(args.model).exists() and args.wav_scp.is_file():
        return False
    print(f"{args.model} or {args.wav_scp} is missing: `make demo` makes both")
    return True


def write_speech(wav_scp: Path, minutes: float, file: Path) -> None:
    """String recordings together, over and over, to a length; never all in memory."""
    paths = [Path(p) for p in read_table(wav_scp).values()]
    paths = [p if p.is_absolute() else RECIPE / p for p in paths]
    rate = soundfile.info(paths[0]).samplerate
    missing, number = round(minutes * 60 * rate), 0
    with soundfile.SoundFile(file, "w", rate, 1) as out:
        while missing > 0:
            samples = soundfile.read(paths[number % len(paths)], dtype="int16")[0]
            out.write(samples[:missing])
            missing, number = missing - len(samples), number + 1
