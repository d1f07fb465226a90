"""How long a user waits for the command line: help, and the first transcript.

Every measurement is a process of its own, from its start to the line it prints, with
files that are in the disk cache. Before any is timed, the transcript is compared with
that of the model as ESPnet's own task builds it.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from typing import Dict, List, Tuple

RUNS = 7
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


def main(argv: List[str]) -> int:
    """Measure and print a table.

    Returns:
        Exit status: 0, or 1 where the transcripts differ.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup")
    parser.add_argument("--model", required=True, help="checkpoint")
    parser.add_argument("--audio", required=True, help="audio file, of about 10 s")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"processes ({RUNS})")
    args = parser.parse_args(argv)
    # one of each before, which also fills the disk cache
    commands = {
        "blankskip --help": [*BLANKSKIP, "--help"],
        "first transcript": [
            *BLANKSKIP, "transcribe", "--model", args.model, args.audio,
        ],
        "the same with the model from ESPnet's task": [
            sys.executable, "-c", BY_TASK, args.model, args.audio,
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
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, seconds, median (and "
        f"range) of {args.runs} processes:"
    )
    print(f"{'':43}  start to first line        CPU, start to exit")
    for name, values in measured.items():
        columns = "   ".join(
            f"{statistics.median(v):5.2f} ({min(v):5.2f} to {max(v):5.2f})"
            for v in zip(*values)
        )
        print(f"{name:43}  {columns}")
    return 0


def environment() -> Dict[str, str]:
    """This process's, with one thread."""
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
        env=environment(),
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
        env=environment(),
    ) as process:
        for line in process.stdout:
            if "\t" in line or "--help" in command:
                break
        seconds = time.perf_counter() - begin
        process.stdout.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu
