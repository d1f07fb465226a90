"""ESPnet3's stage `train`: what Lightning logs, counts, resumes and distributes.

As in ESPnet2's (`test_distributed_training.py`), two processes split one batch of four
utterances in two halves. Batch norm sees each half on its own either way, so two
processes must learn what one learns that accumulates over the halves.
"""

import csv
import json

import pytest
from tiny_recipe import needs_espnet3, run, write_training
from trained_recipe import EPOCHS, PAIRED_WARMUP, WARMUP

pytestmark = needs_espnet3


def probed(trained, name, what, rank=0):
    """What `training_probe` wrote of one process: of "train", "valid" or "sanity"."""
    lines = (trained / "exp" / name / f"probe.{rank}.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["what"] == what]


def test_kept_ratio_and_every_loss_term_are_in_lightnings_logs(trained):
    [log] = (trained / "exp" / "accumulated").rglob("metrics.csv")
    with open(log, newline="") as lines:
        columns = next(csv.reader(lines))
    terms = ["loss", "loss_ctc", "loss_interctc_layer2", "kept_ratio"]
    terms += ["loss_kd", "loss_kd_blank", "loss_kd_label"]
    assert {f"{p}/{t}" for p in ("train", "valid") for t in terms} <= set(columns)


def test_warm_ups_count_batches_and_no_validation(trained):
    assert [row["batches"] for row in probed(trained, "accumulated", "sanity")] == [0]
    batches = probed(trained, "accumulated", "train")
    assert [row["batches"] for row in batches] == [1, 2, 3, 4, 5, 6]
    assert [row["updates"] for row in batches] == [0, 1, 1, 2, 2, 3]
    assert [r["batches"] for r in probed(trained, "accumulated", "valid")] == [2, 4, 6]


def distillation_in_loss(stats):
    """Share of the distillation that the logged training loss holds."""
    without = 0.7 * stats["loss_ctc"] + 0.3 * stats["loss_interctc_layer2"]
    return (stats["loss"] - without) / stats["loss_kd"]


@pytest.mark.parametrize(
    "name, first", [("accumulated", 1), ("rest", 3), ("plain_rest", 3)]
)
def test_distillation_starts_after_its_warm_up(trained, name, first):
    batches = probed(trained, name, "train")
    shares = [distillation_in_loss(row["stats"]) for row in batches]
    want = [0.5 if n > WARMUP else 0.0 for n in range(first, 7)]
    assert shares == pytest.approx(want, abs=1e-4)


def test_resuming_goes_on_as_if_never_stopped(trained):
    for what in ("train", "valid"):
        whole = probed(trained, "accumulated", what)
        rest = probed(trained, "rest", what)
        assert [r["batches"] for r in rest] == [
            r["batches"] for r in whole[-len(rest) :]
        ]
        for got, want in zip(rest, whole[-len(rest) :]):
            assert got["stats"] == pytest.approx(want["stats"], abs=1e-5)


def test_mixed_precision_trains_alike(trained):
    got = probed(trained, "bf16", "train")
    want = probed(trained, "accumulated", "train")
    for one, other in zip(got, want):
        assert one["stats"]["loss"] == pytest.approx(other["stats"]["loss"], rel=0.02)
        assert one["stats"]["loss"] != other["stats"]["loss"]


def losses(rows):
    names = ("loss", "loss_ctc", "loss_interctc_layer2", "loss_kd")
    return [[row["stats"][name] for name in names] for row in rows]


def test_two_processes_give_the_losses_of_one(trained):
    write_training(
        trained,
        "two_processes",
        warmup_steps=PAIRED_WARMUP,
        max_epochs=EPOCHS,
        devices=2,
        strategy="ddp",
    )
    config = ["--training_config", "conf/two_processes.yaml"]
    run(trained, "run.py", "--stages", "train", *config)
    want = losses(probed(trained, "one_process", "train"))
    for rank in (0, 1):
        got = losses(probed(trained, "two_processes", "train", rank))
        for one, other in zip(got, want[rank::2], strict=True):
            assert one == pytest.approx(other, rel=1e-3)
