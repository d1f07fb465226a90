"""The fine-tuning configs build the model that `convert` makes of the plain one."""

from pathlib import Path

import pytest
import yaml

TUNING = Path(__file__).parents[2] / "conf" / "tuning"
GATE = {"gate_layers", "gate_head", "blank_threshold", "spike_extension", "train_skip"}


def read(name):
    return yaml.safe_load((TUNING / name).read_text())


@pytest.mark.parametrize("what", ["gate", "all"])
def test_finetune_config_differs_from_the_plain_one_by_its_gate(what):
    plain = read("train_asr_fsdd_conformer.yaml")
    tuned = read(f"train_asr_fsdd_blankskip_conformer_finetune_{what}.yaml")
    assert plain["encoder"] == "conformer"
    assert tuned["encoder"] == "blankskip_conformer"
    assert tuned["frontend_conf"] == plain["frontend_conf"]
    added = set(tuned["encoder_conf"]) - set(plain["encoder_conf"])
    assert added == GATE
    same = {k: v for k, v in tuned["encoder_conf"].items() if k not in GATE}
    assert same == plain["encoder_conf"]
    assert tuned["encoder_conf"]["gate_head"] == "own"


def test_finetune_gate_freezes_all_but_the_gate():
    from tiny_checkpoints import light_state
    from tiny_experiment import ENCODER_CONF

    frozen = read("train_asr_fsdd_blankskip_conformer_finetune_gate.yaml")[
        "freeze_param"
    ]
    conf = dict(ENCODER_CONF, gate_layers=[2], gate_head="own")
    left = {
        name
        for name in light_state("blankskip_conformer", conf)
        if not any(name == part or name.startswith(f"{part}.") for part in frozen)
    }
    assert left == {
        "encoder.blank_state",
        "encoder.gate.linear.bias",
        "encoder.gate.linear.weight",
        "encoder.gate.norm.bias",
        "encoder.gate.norm.weight",
    }
