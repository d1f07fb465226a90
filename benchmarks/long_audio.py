"""Memory and real-time factor from ten seconds to an hour of audio.

Recordings of a set are strung together to each length and decoded from a file by a
process of its own, whose peak memory is that of its whole life. First, the file read
in blocks must give what the same audio in memory gives.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.demo import add_demo_arguments, demo_is_missing, write_speech
from benchmarks.results import publish
from benchmarks.timing import environment
from espnet_blankskip.inference import BlankSkipSpeech2Text

MIB = 2**20


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks long_audio", description=__doc__.splitlines()[0]
    )
    add_demo_arguments(parser)
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[1 / 6, 1, 10, 60], metavar="M"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="of lengths up to 10 min"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return parser


def main(argv) -> int:
    """Print the table; exit code 1 if file and memory give different results."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.file:
        print(json.dumps(decode_file(args)))
        return 0
    if demo_is_missing(args):
        return 2
    with tempfile.TemporaryDirectory() as folder:
        files = {m: Path(folder) / f"{m:g}.wav" for m in args.minutes}
        for minutes, file in files.items():
            write_speech(args.wav_scp, minutes, file)
        if not same_from_file_and_memory(args.model, min(files.items())[1]):
            print("a file and the same audio in memory give different results")
            return 1
        print("a file gives what its samples in memory give", flush=True)
        measured = {m: measure(args, m, file) for m, file in files.items()}
    reference = measured[1] if 1 in measured else next(iter(measured.values()))
    rows = [
        {
            "audio": f"{minutes:g} min" if minutes >= 1 else f"{60 * minutes:.0f} s",
            "RTF": f"{m['rtf']:.4f}",
            "against 1 min": f"{m['rtf'] / reference['rtf']:.2f}x",
            "peak memory [MiB]": f"{m['peak'] / MIB:.0f}",
            "of 1 min": f"{m['peak'] / reference['peak']:.2f}x",
            "of it decoding [MiB]": f"{m['grown'] / MIB:.0f}",
            "words": m["words"],
        }
        for minutes, m in measured.items()
    ]
    about = f"{environment()}; {Path(args.model).name}, {args.device}, float32, batch 1"
    publish("long_audio", rows, list(rows[0]), about, argv, args.save)
    return 0


def same_from_file_and_memory(model: str, file: Path) -> bool:
    """Whether a file read in blocks gives what its samples as an array give."""
    speech2text = BlankSkipSpeech2Text.from_pretrained(model)
    streamed = speech2text(file)
    whole = speech2text(*soundfile.read(file, dtype="float32"))
    return streamed.nbest == whole.nbest and np.array_equal(streamed.depth, whole.depth)


def measure(args, minutes: float, file: Path) -> dict:
    """Decode a file in processes of their own; the median by time."""
    command = [sys.executable, "-m", "benchmarks", "long_audio", "--file", str(file)]
    command += ["--model", args.model, "--device", args.device]
    command += ["--threads", str(args.threads)]
    runs = []
    for _ in range(args.repeats if minutes <= 10 else 1):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return sorted(runs, key=lambda run: run["rtf"])[len(runs) // 2]


def decode_file(args) -> dict:
    """Decode one file and tell what it took."""
    speech2text = BlankSkipSpeech2Text.from_pretrained(args.model, device=args.device)
    speech2text(np.zeros(speech2text.sample_rate, np.float32))  # first use, not speed
    before = peak_memory()
    clock = time.perf_counter if args.device != "cpu" else time.process_time
    begin = clock()
    result = speech2text(args.file)
    seconds = clock() - begin
    return dict(
        rtf=seconds / result.audio_seconds,
        peak=peak_memory(),
        grown=peak_memory() - before,
        words=len(result.words),
    )


def peak_memory() -> int:
    """Return the most memory this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
