"""``python -m benchmarks.frontier {pack,prepare,train,ngram,table,sweep} --help``"""

import argparse
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterable, Iterator, List, Tuple

import torch

from benchmarks.frontier.rows import ROWS

HERE = Path("exp/frontier")
#: A row's name and a seed.
Pair = Tuple[str, int]
CORPORA = sorted({row.corpus for row in ROWS.values()})


def main(argv) -> int:
    """Run one of the commands."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout
    )
    torch.set_num_threads(args.threads)
    return args.run(args)


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frontier", description=__doc__
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    pack = commands.add_parser("pack", help="a corpus as one file")
    pack.add_argument("file", type=Path, help="the tar to write")
    pack.add_argument(
        "sets",
        nargs="+",
        type=_set,
        metavar="NAME=FOLDER",
        help="data folder of each set: train=, dev=, test=",
    )
    pack.set_defaults(run=run_pack)

    prepare = commands.add_parser("prepare", help="features of a packed corpus")
    prepare.add_argument("file", type=Path, help="what `pack` wrote")
    prepare.add_argument(
        "--corpus", choices=CORPORA, default="librispeech", help="its name in the rows"
    )
    prepare.set_defaults(run=run_prepare)

    train = commands.add_parser("train", help="train and read rows that are not yet")
    train.add_argument("rows", nargs="*", help="ROW or ROW:SEED (all, in their order)")
    train.add_argument("--steps", type=int, default=3600, help="updates (3600)")
    train.add_argument("--rate", type=float, default=0.001, help="peak (0.001)")
    train.add_argument(
        "--matrix-rate",
        type=float,
        default=0.003,
        help="the same for Muon, which updates the layers' matrices; 0: AdamW (0.003)",
    )
    train.add_argument(
        "--frames", type=int, default=4000, help="feature frames of an update (4000)"
    )
    train.add_argument("--jobs", type=int, default=1, help="models at a time (1)")
    train.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="bfloat16" if torch.cuda.is_available() else "float32",
    )
    train.add_argument("--minutes", type=float, help="stop then, with checkpoints")
    train.set_defaults(run=run_train)

    ngram = commands.add_parser("ngram", help="read trained rows again with an n-gram")
    ngram.add_argument("rows", nargs="+", help="ROW or ROW:SEED, all of one corpus")
    ngram.add_argument("--arpa", type=Path, required=True, help="over words")
    ngram.set_defaults(run=run_ngram)

    table = commands.add_parser("table", help="what was read so far, as Markdown")
    table.add_argument("corpus", choices=CORPORA)
    table.add_argument("rows", nargs="*", metavar="ROW", help="(all that were read)")
    table.add_argument("--set", choices=("dev", "test"), default="test", dest="part")
    table.add_argument("--picture", type=Path, help="a PNG to draw")
    table.set_defaults(run=run_table)

    sweep = commands.add_parser("sweep", help="all gate options of rows on the dev set")
    sweep.add_argument("rows", nargs="+", help="ROW or ROW:SEED")
    sweep.set_defaults(run=run_sweep)
    for command in (prepare, train, ngram, table, sweep):
        command.add_argument("--folder", type=Path, default=HERE, help=f"({HERE})")
    for command in (prepare, train, ngram):
        command.add_argument(
            "--device", default="cuda" if torch.cuda.is_available() else "cpu"
        )
    return parser


def _set(text: str) -> Tuple[str, Path]:
    """NAME=FOLDER of a command line."""
    name, sign, folder = text.partition("=")
    if not (name and sign and Path(folder, "wav.scp").is_file()):
        raise argparse.ArgumentTypeError(f"{text} names no folder with a wav.scp")
    return name, Path(folder)


def run_pack(args) -> int:
    """Write the tar."""
    from benchmarks.frontier.data import pack

    pack(dict(args.sets), args.file)
    return 0


def run_prepare(args) -> int:
    """Write features and subword models."""
    from benchmarks.frontier.data import prepare

    sizes = {row.vocabulary for row in ROWS.values() if row.corpus == args.corpus}
    prepare(args.file, args.folder / args.corpus, "train", sorted(sizes), args.device)
    return 0


def run_train(args) -> int:
    """Train rows, side by side if asked to; each in a process of its own."""
    waiting = list(dict.fromkeys(_wanted(args.rows)))
    deadline = float("inf")
    if args.minutes is not None:
        deadline = time.time() + 60 * args.minutes
    if len(waiting) == 1:
        return train_one(args, *waiting[0], deadline)
    running, failed = {}, 0
    while waiting or running:
        if waiting and time.time() >= deadline:
            print("no time left for " + ", ".join(f"{r}:{s}" for r, s in waiting))
            waiting.clear()
        for row, seed in _ready(waiting, running.values())[: args.jobs - len(running)]:
            waiting.remove((row, seed))
            running[_start(args, row, seed, deadline)] = (row, seed)
        time.sleep(0.2)
        for job in [job for job in running if job.poll() is not None]:
            row, seed = running.pop(job)
            failed += job.returncode != 0
            log = args.folder / f"{row}.{seed}" / "train.log"
            print(f"{row}:{seed} {f'FAILED, see {log}' if job.returncode else 'ended'}")
    return 1 if failed else 0


def _ready(waiting: List[Pair], running: Iterable[Pair]) -> List[Pair]:
    """The rows that wait for none of these to be trained first."""
    unfinished = {*waiting, *running}
    return [
        (row, seed)
        for row, seed in waiting
        if not {(ROWS[row].trunk, seed), (ROWS[row].init, seed)} & unfinished
    ]


def run_ngram(args) -> int:
    """Read rows with an n-gram."""
    from benchmarks.frontier.ngram import read_with_ngram

    for name, seed in _wanted(args.rows):
        folder = _read_already(args.folder, name, seed)
        prepared = args.folder / ROWS[name].corpus
        try:
            found = read_with_ngram(folder, prepared, args.arpa, args.device)
        except (OSError, ValueError) as unreadable:
            sys.exit(str(unreadable))
        _print(name, seed, found["test"])
    return 0


def run_table(args) -> int:
    """Print the table, and draw the picture if there is to be one."""
    from benchmarks.frontier.picture import draw
    from benchmarks.frontier.table import lines, write

    table = lines(args.folder, args.corpus, args.part)
    if not table:
        sys.exit(f"{args.folder}: no row of {args.corpus} has been read yet")
    missing = sorted({*args.rows} - {line.row for line in table})
    if missing:
        sys.exit(f"not read yet: {', '.join(missing)}")
    if args.rows:
        table = [line for line in table if line.row in args.rows]
    if args.picture:
        draw(table, args.picture)
    print(write(table), end="")
    return 0


def run_sweep(args) -> int:
    """Print the sweep of each row."""
    from benchmarks.frontier.sweep import write

    for name, seed in _wanted(args.rows):
        print(
            f"{name}:{seed}, dev set: {write(_read_already(args.folder, name, seed))}"
        )
    return 0


def _read_already(experiments: Path, name: str, seed: int) -> Path:
    """The experiment of a row, which has to be trained and read."""
    folder = experiments / f"{name}.{seed}"
    if not (folder / "readings.json").is_file():
        sys.exit(f"{name}:{seed} is not read yet: train it first")
    return folder


def train_one(args, name: str, seed: int, deadline: float) -> int:
    """Train one row, if it is not trained yet, and read it, if it is not read yet."""
    from benchmarks.frontier.readings import read_all
    from benchmarks.frontier.training import train

    row = ROWS[name]
    folder = args.folder / f"{name}.{seed}"
    prepared = args.folder / row.corpus
    try:
        finished = train(
            row,
            folder,
            prepared,
            seed,
            round(args.steps * row.length),
            args.rate,
            args.matrix_rate,
            args.frames,
            args.device,
            args.dtype,
            deadline,
        )
    except (FileNotFoundError, ValueError) as cannot:
        sys.exit(str(cannot))
    if not finished:
        print(f"{name}:{seed} stopped with a checkpoint: the time is over")
    elif not (folder / "readings.json").is_file():
        _print(name, seed, read_all(folder, prepared, args.device)["test"])
    else:
        print(f"{name}:{seed} is trained and read already: {folder}")
    return 0


def _print(name: str, seed: int, found) -> None:
    """Say what was read."""
    for reading in found:
        print(
            f"{name}:{seed} {reading.way} {reading.gate} {reading.kept} "
            f"{reading.wer:.2f} %"
        )


def _wanted(names: List[str]) -> Iterator[Pair]:
    """Rows and seeds to train, in order: the first seeds of all, then the second."""
    if names:
        for name in names:
            row, _, seed = name.partition(":")
            if row not in ROWS:
                sys.exit(f"no row {row}; there are: {', '.join(ROWS)}")
            if seed and not seed.isdecimal():
                sys.exit(f"{name}: a seed is a whole number")
            yield row, int(seed or 1)
        return
    pairs = [(seed, name) for name, row in ROWS.items() for seed in row.seeds]
    for seed, name in sorted(pairs, key=lambda pair: pair[0]):
        yield name, seed


def _start(args, row: str, seed: int, deadline: float) -> subprocess.Popen:
    """Start the process of one row; its log goes beside its experiment."""
    folder = args.folder / f"{row}.{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.frontier"]
    command += ["--threads", str(args.threads), "train", f"{row}:{seed}"]
    for name in (
        "steps",
        "rate",
        "matrix_rate",
        "frames",
        "folder",
        "device",
        "dtype",
    ):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    if deadline < float("inf"):
        command += ["--minutes", str(max(0.0, deadline - time.time()) / 60)]
    with open(folder / "train.log", "a", encoding="utf-8") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
