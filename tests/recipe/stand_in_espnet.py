"""Stands in for `python -m espnet_blankskip`: the commands of stages 10 to 13, fast.

Writes what the real commands write, one line per utterance. `DIE_IN` names the job that
is killed half-way; `LOSE` an utterance that is left out; `HOLD` a file that every
command waits for, with its process written into `held`. `--refused` is an option that
the decoder does not know. Every call adds a line to `calls`.
"""

import os
import signal
import sys
import time
from pathlib import Path


def values(name):
    return [b for a, b in zip(sys.argv, sys.argv[1:]) if a == name]


def utterances(path):
    ids = [line.split()[0] for line in Path(path).read_text().splitlines()]
    return [utt_id for utt_id in ids if utt_id != os.environ.get("LOSE")]


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def decode(folder, in_place):
    if "--refused" in sys.argv:
        sys.exit("asr_decode: no option --refused")
    keys = utterances(values("--key_file")[0])
    partial = folder / ("1best_recog" if in_place else "1best_recog.partial")
    for done in range(len(keys) + 1):
        write(partial / "text", [f"{key} one two" for key in keys[:done]])
        if done == 1 and folder.name == f"output.{os.environ.get('DIE_IN')}":
            os.kill(os.getpid(), signal.SIGKILL)
    if not in_place:
        partial.rename(folder / "1best_recog")


def collect(folder):
    for part in ("train", "valid"):
        keys = utterances(values(f"--{part}_shape_file")[0])
        write(folder / part / "text_shape", [f"{key} 2" for key in keys])
        write(folder / part / "speech_shape", [f"{key} 8000" for key in keys])
        if folder.name == f"stats.{os.environ.get('DIE_IN')}":
            os.kill(os.getpid(), signal.SIGKILL)


def aggregate(folder):
    for part in ("train", "valid"):
        for name in ("text_shape", "speech_shape"):
            parts = [Path(one) / part / name for one in values("--input_dir")]
            lines = [line for one in parts for line in one.read_text().splitlines()]
            write(folder / part / name, lines)


module = values("-m")[0]
output = Path([*values("--output_dir"), *values("--asr_exp")][0])
with open("calls", "a") as calls:
    calls.write(f"{module} {output.name}\n")
if "HOLD" in os.environ:
    Path("held").write_text(f"{os.getpid()}\n")
    while not Path(os.environ["HOLD"]).exists():
        time.sleep(0.05)
if module == "espnet2.bin.aggregate_stats_dirs":
    aggregate(output)
elif module == "espnet2.bin.asr_train" and values("--collect_stats"):
    collect(output)
elif module == "espnet2.bin.asr_train":
    (output / "valid.loss.ave.pth").write_text("trained")
elif module == "espnet_blankskip.evaluation.report":
    (output / "RESULTS.md").write_text("WER")
else:
    decode(output, in_place=module == "espnet2.bin.asr_inference")
