"""ESPnet3's stage `train`: what Lightning logs, counts, resumes and distributes.

As in ESPnet2's (`test_distributed_training.py`), two processes split one batch of four
utterances in two halves. Batch norm sees each half on its own either way, so two
processes must learn what one learns that accumulates over the halves.
"""

import csv
import json

import pytest
from tiny_recipe import make_recipe, needs_espnet3, run, write_training

pytestmark = needs_espnet3

WARMUP = 3  # batches; with two of them per update, the warm-up ends amid an update
EPOCHS = 3
# of two processes; one that accumulates counts each half
PAIRED_WARMUP = 1
HALVES = dict(
    shapes="halves",
    batch_size=2,
    accumulate_grad_batches=2,
    warmup_steps=WARMUP,
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


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe in which one process has trained several models."""
    folder = make_recipe(tmp_path_factory.mktemp("training") / "recipe")
    write_training(folder, "accumulated", max_epochs=EPOCHS, **HALVES)
    write_training(folder, "first", max_epochs=1, **HALVES)
    write_training(folder, "rest", max_epochs=EPOCHS, resume="first", **HALVES)
    write_training(folder, "bf16", max_epochs=1, precision="bf16-mixed", **HALVES)
    halves = {**HALVES, "warmup_steps": 2 * PAIRED_WARMUP}
    write_training(folder, "one_process", max_epochs=EPOCHS, **halves)
    names = ["accumulated", "first", "rest", "bf16", "one_process"]
    run(folder, "-c", TRAIN_EACH, *names)
    return folder


def probed(recipe, name, what, rank=0):
    """What `training_probe` wrote of one process: of "train", "valid" or "sanity"."""
    lines = (recipe / "exp" / name / f"probe.{rank}.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["what"] == what]


def test_kept_ratio_and_every_loss_term_are_in_lightnings_logs(recipe):
    [log] = (recipe / "exp" / "accumulated").rglob("metrics.csv")
    with open(log, newline="") as lines:
        columns = next(csv.reader(lines))
    terms = ["loss", "loss_ctc", "loss_interctc_layer2", "kept_ratio"]
    terms += ["loss_kd", "loss_kd_blank", "loss_kd_label"]
    assert {f"{p}/{t}" for p in ("train", "valid") for t in terms} <= set(columns)


def test_warm_ups_count_batches_and_no_validation(recipe):
    assert [row["batches"] for row in probed(recipe, "accumulated", "sanity")] == [0]
    batches = probed(recipe, "accumulated", "train")
    assert [row["batches"] for row in batches] == [1, 2, 3, 4, 5, 6]
    assert [row["updates"] for row in batches] == [0, 1, 1, 2, 2, 3]
    assert [r["batches"] for r in probed(recipe, "accumulated", "valid")] == [2, 4, 6]


def distillation_in_loss(stats):
    """Share of the distillation that the logged training loss holds."""
    without = 0.7 * stats["loss_ctc"] + 0.3 * stats["loss_interctc_layer2"]
    return (stats["loss"] - without) / stats["loss_kd"]


@pytest.mark.parametrize("name, first", [("accumulated", 1), ("rest", 3)])
def test_distillation_starts_after_its_warm_up(recipe, name, first):
    batches = probed(recipe, name, "train")
    shares = [distillation_in_loss(row["stats"]) for row in batches]
    want = [0.5 if n > WARMUP else 0.0 for n in range(first, 7)]
    assert shares == pytest.approx(want, abs=1e-4)


def test_resuming_goes_on_as_if_never_stopped(recipe):
    for what in ("train", "valid"):
        whole = probed(recipe, "accumulated", what)
        rest = probed(recipe, "rest", what)
        assert [r["batches"] for r in rest] == [
            r["batches"] for r in whole[-len(rest) :]
        ]
        for got, want in zip(rest, whole[-len(rest) :]):
            assert got["stats"] == pytest.approx(want["stats"], abs=1e-5)


def test_mixed_precision_trains_alike(recipe):
    got = probed(recipe, "bf16", "train")
    want = probed(recipe, "accumulated", "train")
    for one, other in zip(got, want):
        assert one["stats"]["loss"] == pytest.approx(other["stats"]["loss"], rel=0.02)
        assert one["stats"]["loss"] != other["stats"]["loss"]


def losses(rows):
    names = ("loss", "loss_ctc", "loss_interctc_layer2", "loss_kd")
    return [[row["stats"][name] for name in names] for row in rows]


def test_two_processes_give_the_losses_of_one(recipe):
    write_training(
        recipe,
        "two_processes",
        warmup_steps=PAIRED_WARMUP,
        max_epochs=EPOCHS,
        devices=2,
        strategy="ddp",
    )
    config = ["--training_config", "conf/two_processes.yaml"]
    run(recipe, "run.py", "--stages", "train", *config)
    want = losses(probed(recipe, "one_process", "train"))
    for rank in (0, 1):
        got = losses(probed(recipe, "two_processes", "train", rank))
        for one, other in zip(got, want[rank::2], strict=True):
            assert one == pytest.approx(other, rel=1e-3)
