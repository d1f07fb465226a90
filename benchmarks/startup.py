"""How long a user waits for the command line: help, and the first transcript.

Every measurement is a process of its own, from its start to the line it prints, with
files that are in the disk cache. Before any is timed, the transcript is compared with
that of the model as ESPnet's own task builds it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Tuple

from benchmarks.demo import add_demo_arguments, demo_is_missing, write_speech
from benchmarks.results import publish
from benchmarks.timing import REPEATS, environment

COLUMNS = ["process", "to its first line [s]", "range [s]", "CPU, whole [s]"]
BLANKSKIP = [sys.executable, "-m", "espnet_blankskip.bin.blankskip"]
#: The same model by ESPnet's task, in the plugin's recognizer.
BY_TASK = """
import sys
from argparse import Namespace
import espnet_blankskip
from espnet_blankskip.checkpoint import load_weights, read_state_dict
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.upstream import asr_task
from espnet_blankskip.zoo.archive import open_checkpoint
checkpoint = open_checkpoint(sys.argv[1])
train_args = Namespace(**checkpoint.config)
model = asr_task().build_model(train_args)
load_weights(model, read_state_dict(checkpoint.model_file), str(checkpoint.model_file))
speech2text = BlankSkipSpeech2Text(loaded=(model.eval(), train_args))
print("text", speech2text(sys.argv[2]).text, sep="\\t", flush=True)
"""


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks startup", description=__doc__.splitlines()[0]
    )
    add_demo_arguments(parser)
    parser.add_argument("--runs", type=int, default=REPEATS, help="of each process")
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv: List[str]) -> int:
    """Measure and print a table.

    Returns:
        Exit status: 0, 1 where the transcripts differ, 2 where the demo is missing.
    """
    args = get_parser().parse_args(argv)
    if demo_is_missing(args):
        return 2
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "10s.wav"
        write_speech(args.wav_scp, 10 / 60, audio)
        return measure(args, str(audio), argv)


def measure(args, audio: str, argv: List[str]) -> int:
    """Compare the transcripts, then time every process.

    Returns:
        Exit status of the case.
    """
    # one of each before, which also fills the disk cache
    commands = {
        "blankskip --help": [*BLANKSKIP, "--help"],
        "first transcript": [
            *BLANKSKIP, "transcribe", "--model", args.model, audio,
        ],
        "the same with the model from ESPnet's task": [
            sys.executable, "-c", BY_TASK, args.model, audio,
        ],
    }  # fmt: skip
    transcripts = {name: last_line(command) for name, command in commands.items()}
    _, ours, theirs = (line.split("\t")[-1] for line in transcripts.values())
    if ours != theirs:
        print(f"transcripts differ: {ours!r} and, by the task, {theirs!r}")
        return 1
    print(f"transcripts agree: {ours!r}")
    measured: Dict[str, List[Tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(args.runs):
        for name, command in commands.items():
            measured[name].append(time_process(command))
    rows = []
    for name, values in measured.items():
        seconds, cpu = zip(*values)
        rows.append(
            {
                "process": name,
                "to its first line [s]": f"{statistics.median(seconds):.2f}",
                "range [s]": f"{min(seconds):.2f} to {max(seconds):.2f}",
                "CPU, whole [s]": f"{statistics.median(cpu):.2f}",
            }
        )
    about = (
        f"{environment(threads=1)}; {Path(args.model).name}; median and range of "
        f"{args.runs} processes, files in the disk cache"
    )
    publish("startup", rows, COLUMNS, about, argv, args.save)
    return 0


def one_thread() -> Dict[str, str]:
    """This process's environment, with one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def last_line(command: List[str]) -> str:
    """The last line a command prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=one_thread(),
        check=True,
    )
    return done.stdout.splitlines()[-1]


def time_process(command: List[str]) -> Tuple[float, float]:
    """Run a command and time it.

    ESPnet greets on standard output when it is imported, so of a transcript only the
    line with a tab counts.

    Returns:
        Wall-clock seconds from the start of the process to the line it prints, which
        others on the machine can draw out; and CPU seconds of the whole process.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=one_thread(),
    ) as process:
        for line in process.stdout:
            if "\t" in line or "--help" in command:
                break
        seconds = time.perf_counter() - begin
        process.stdout.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu
