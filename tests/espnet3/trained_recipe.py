"""The trainings that several test files look at."""

from pathlib import Path

from tiny_recipe import make_recipe, run, write_training

WARMUP = 3  # batches; with two of them per update, the warm-up ends amid an update
EPOCHS = 3
# of two processes; one that accumulates counts each half
PAIRED_WARMUP = 1
HALVES = dict(
    shapes="halves", batch_size=2, accumulate_grad_batches=2, warmup_steps=WARMUP
)
# one process trains several models, because importing ESPnet takes ten seconds
TRAIN_EACH = """
import sys
from espnet3.systems.launch import launch
from espnet_blankskip.espnet3 import ASRSystem
for name in sys.argv[1:]:
    config = ["--training_config", f"conf/{name}.yaml"]
    launch(
        ASRSystem,
        conf_package="egs3.TEMPLATE.esp2_asr",
        argv=["--stages", "train", *config],
    )
"""


def train_each(folder: Path) -> None:
    """Make a recipe in a folder, and experiments in it by name.

    ``accumulated``: three epochs of two batches, one update each. ``first`` and
    ``rest``: the same in two runs; ``plain_first`` and ``plain_rest`` without batch
    norm. ``bf16``: in mixed precision. ``one_process``: as two would learn it.
    """
    make_recipe(folder)
    write_training(folder, "accumulated", max_epochs=EPOCHS, **HALVES)
    write_training(folder, "bf16", max_epochs=1, precision="bf16-mixed", **HALVES)
    halves = {**HALVES, "warmup_steps": 2 * PAIRED_WARMUP}
    write_training(folder, "one_process", max_epochs=EPOCHS, **halves)
    names = ["accumulated", "bf16", "one_process"]
    for prefix, encoder in (("", "conformer"), ("plain_", "transformer")):
        first, rest = f"{prefix}first", f"{prefix}rest"
        options = dict(encoder=f"blankskip_{encoder}", **HALVES)
        write_training(folder, first, max_epochs=1, **options)
        write_training(folder, rest, max_epochs=EPOCHS, resume=first, **options)
        names += [first, rest]
    run(folder, "-c", TRAIN_EACH, *names)
