"""Statistics are collected again for what changes them, and for nothing else."""

import pytest

from espnet_blankskip.recipe.option_parsing import parse_options
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.recipe.statistics_facts import statistics_facts

SETS = ["--train_set", "tr", "--valid_set", "dev", "--test_sets", "eval"]
CONFIG = """\
max_epoch: 10
encoder: blankskip_conformer
encoder_conf: {num_blocks: 12}
frontend_conf: {n_fft: 512}
model_conf: {ctc_weight: 1.0}
"""


def facts(folder, config=CONFIG, *options):
    path = folder / "train.yaml"
    path.write_text(config)
    return statistics_facts(
        RecipeRun(parse_options([*SETS, "--asr_config", str(path), *options]))
    )


@pytest.mark.parametrize(
    "old, new",
    [
        ("max_epoch: 10", "max_epoch: 20"),
        ("num_blocks: 12", "num_blocks: 6, gate_layers: [3]"),
        ("encoder: blankskip_conformer", "encoder: conformer"),
        ("ctc_weight: 1.0", "ctc_weight: 0.3, kd_weight: 0.1"),
        ("max_epoch: 10", "max_epoch: 10\noptim: sgd\noptim_conf: {lr: 1.0}"),
        ("max_epoch: 10", "# a remark\nmax_epoch: 10"),
    ],
)
def test_training_options_leave_the_statistics_valid(old, new, tmp_path):
    assert facts(tmp_path) == facts(tmp_path, CONFIG.replace(old, new))


@pytest.mark.parametrize(
    "old, new",
    [
        ("n_fft: 512", "n_fft: 400"),
        ("max_epoch: 10", "frontend: s3prl"),
        ("max_epoch: 10", "speech_volume_normalize: 1.0"),
        ("max_epoch: 10", "some_option_of_a_later_version: 1"),
        ("ctc_weight: 1.0", "extract_feats_in_collect_stats: false"),
    ],
)
def test_options_of_the_features_do_not(old, new, tmp_path):
    assert facts(tmp_path) != facts(tmp_path, CONFIG.replace(old, new))


@pytest.mark.parametrize(
    "words, same",
    [
        ("--max_epoch 3", True),
        ("--max_epoch=3 --encoder_conf dropout_rate=0.1", True),
        ("--optim_conf lr=0.1 --frontend_conf n_fft=400", False),
        ("--frontend_conf=n_fft=400", False),
    ],
)
def test_the_same_holds_for_asr_args(words, same, tmp_path):
    changed = facts(tmp_path, CONFIG, "--asr_args", words)
    assert (changed == facts(tmp_path)) is same


def test_other_options_of_the_recipe_count(tmp_path):
    assert facts(tmp_path) != facts(tmp_path, CONFIG, "--fs", "8k")
    assert facts(tmp_path) != facts(tmp_path, CONFIG, "--token_type", "char")
