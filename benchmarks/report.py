"""The whole set of measurements, as a page with a picture.

``python -m benchmarks report FOLDER`` runs every command of the set that has no result
in FOLDER yet, in a process of its own, and writes FOLDER/README.md and its picture.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence

from benchmarks.plot import draw
from benchmarks.results import Result, command_line, read_results

#: Made by ``run.sh --corpus fsdd``, and its kin with characters for tokens as
#: docs/pages/speed.md says.
DEMO, CHARACTERS = (
    f"--recipe egs2_recipe/asr1 --data dump/raw/test --exp exp/{name}"
    for name in ("asr_train_asr_fsdd_blankskip_conformer_raw_word", "asr_char")
)
SUITE: Dict[str, Sequence[str]] = {
    "encoder": (
        "",
        "--threads 2",
        "--width 256 --heads 4",
        "--width 256 --heads 4 --threads 2",
        "--seconds 10 20 --keep 0.3 --dtype bfloat16",
        "--lengths mixed --keep 0.3",
        "--seconds 10 --keep 0.3 --rel-pos legacy",
    ),
    "front": ("", "--dtype bfloat16"),
    "decode": (
        DEMO,
        f"{DEMO} --join 20 --utterances 15",
        f"{CHARACTERS} --join 10 --utterances 12",
    ),
    "exported": ("--keep 0.3",),
    "true_time": ("",),
    "joint": ("",),
    "long_audio": ("",),
    "startup": ("",),
    "train_step": ("--width 144 --batch 4 --keep 0.2 0.5",),
}
GPU_SUITE: Dict[str, Sequence[str]] = {
    "encoder": (
        "--device cuda",
        "--device cuda --batch 32 --seconds 10 20",
        "--device cuda --lengths mixed --batch 8 --keep 0.3",
    ),
    "train_step": ("--device cuda --batch 16",),
}
ABOUT = {
    "encoder": "Encoder and greedy search against ESPnet's encoder and argmax with the "
    "same random weights. *dense* is the accelerated encoder without a gate; *of "
    "skipping alone* is against it, and *FLOP ideal* what counted multiply-adds allow. "
    "*limit*: nothing but the multiply-adds, at the fastest rate measured.",
    "front": "ESPnet's input layers against the depthwise-separable ones: the layer "
    "alone and the dense encoder, as torch computes them (*plain*) and accelerated.",
    "decode": "Waveform to text with a trained checkpoint, against ESPnet's "
    "`asr_inference`.",
    "exported": "Exported models in each engine and precision against ESPnet's encoder "
    "and argmax in torch; *torch* is the plugin's accelerated encoder. *limit*: "
    "nothing but the multiply-adds, all at the fastest rate of that precision.",
    "true_time": "What it costs that kept frames stay where they were in time, against "
    "the same layers on a packed sequence, in seconds.",
    "joint": "ESPnet's own joint CTC/attention search, on a hybrid model.",
    "long_audio": "One file of growing length, each in a process of its own, whose "
    "memory is counted whole.",
    "startup": "A process from its start to the first line it prints.",
    "train_step": "Forward and backward of the encoder with both CTC losses.",
}


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="where results and report are kept")
    parser.add_argument("--gpu", action="store_true", help="add what needs a GPU")
    parser.add_argument("--draw-only", action="store_true", help="measure nothing")
    return parser


def main(argv) -> int:
    """Measure what is missing and write the report; exit code 1 if a case failed."""
    args = get_parser().parse_args(argv)
    failed = [] if args.draw_only else measure_missing(args.folder, args.gpu)
    results = read_results(args.folder)
    if results:
        write_report(results, args.folder)
        print(f"{len(results)} results in {args.folder / 'README.md'}")
    for command in failed:
        print(f"failed: {command}")
    return 1 if failed or not results else 0


def measure_missing(folder: Path, gpu: bool) -> List[str]:
    """Run what has no result in the folder yet; return the commands that failed."""
    done = {result.command for result in read_results(folder)}
    failed = []
    for suite in (SUITE, GPU_SUITE) if gpu else (SUITE,):
        for case, arguments in suite.items():
            for words in map(shlex.split, arguments):
                command = command_line(case, words)
                if command in done:
                    continue
                print(f"\n{command}", flush=True)
                process = [sys.executable, "-m", "benchmarks", case, *words]
                if subprocess.call([*process, "--save", str(folder)]):
                    failed.append(command)
    return failed


def write_report(results: Sequence[Result], folder: Path) -> None:
    """Write README.md and the picture into the folder."""
    picture = draw(results, folder / "speed.png")
    lines = ["# Benchmarks", ""]
    lines += [
        "Ratios of times measured in turn in one run; every case first proves its "
        "outputs equal and prints no speed otherwise. With one thread the CPU time of "
        "the process is counted. Made by `python -m benchmarks report "
        f"{folder.as_posix()}`; each table names its own command.",
        "",
    ]
    if picture:
        lines += ["![Speed-ups, real-time factors and memory](speed.png)", ""]
    for case, about in ABOUT.items():
        of_case = [result for result in results if result.case == case]
        if of_case:
            lines += [f"## {case}", "", about, ""]
        for result in of_case:
            lines += [f"`{result.command}`", "", result.about, ""]
            lines += [result.markdown(), ""]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
