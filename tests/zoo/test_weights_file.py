"""Which weights of an experiment are taken, ESPnet2's or ESPnet3's."""

import pytest

from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.weights_file import choose_weights

ESPNET2 = {"best_model_criterion": [["valid", "loss", "min"]]}
ESPNET3 = {"best_model_criterion": [["valid/loss", 3, "min"], ["valid/acc", 3, "max"]]}


@pytest.mark.parametrize(
    "config, files, chosen",
    [
        (ESPNET2, ["valid.loss.ave.pth", "valid.loss.best.pth"], "valid.loss.ave.pth"),
        (ESPNET2, ["1epoch.pth", "10epoch.pth", "9epoch.pth"], "10epoch.pth"),
        (ESPNET2, ["checkpoint.pth", "3epoch.pth"], "3epoch.pth"),
        # after every validation, Lightning averages as many as there are
        (
            ESPNET3,
            [*(f"valid.loss.ave_{n}best.pth" for n in (1, 2, 9, 10)), "last.ckpt"],
            "valid.loss.ave_10best.pth",
        ),
        (
            ESPNET3,
            ["valid.acc.ave_2best.pth", "epoch0_step9_valid.loss.ckpt"],
            "valid.acc.ave_2best.pth",
        ),
        (ESPNET3, ["step9.ckpt", "step10.ckpt"], "step10.ckpt"),
        (ESPNET3, ["step9.ckpt", "step10.ckpt", "last.ckpt"], "last.ckpt"),
        ({}, ["one.pth", "last.ckpt"], "one.pth"),
    ],
)
def test_weights_to_decode_with(tmp_path, config, files, chosen):
    for name in files:
        (tmp_path / name).touch()
    assert choose_weights(tmp_path, config, "exp").name == chosen


def test_no_weights_at_all(tmp_path):
    with pytest.raises(CheckpointError, match=r"exp: no model file \(\*.pth, or"):
        choose_weights(tmp_path, ESPNET3, "exp")
