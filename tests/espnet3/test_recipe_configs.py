"""The recipe's configurations of corpora say what those of the ESPnet2 recipe say."""

import pytest
import yaml
from tiny_recipe import RECIPE, ROOT, needs_espnet3

from espnet_blankskip.corpora import CORPORA

pytestmark = needs_espnet3

SETS = {
    "mini_librispeech": ("train_clean_5", "dev"),
    "an4": ("train_nodev", "train_dev"),
}
BPE = {"mini_librispeech": 300, "an4": 50}


def load(role, corpus):
    from espnet3.utils.config_utils import load_and_merge_config

    return load_and_merge_config(
        RECIPE / "conf" / f"{role}_{corpus}.yaml",
        config_name=f"{role}.yaml",
        default_package="egs3.TEMPLATE.esp2_asr",
        resolve=False,
    )


@pytest.mark.parametrize("corpus", SETS)
def test_a_corpus_is_trained_as_by_the_other_recipe(corpus):
    training = load("training", corpus)
    name = f"train_asr_{corpus}_blankskip_conformer.yaml"
    want = yaml.safe_load((ROOT / "conf" / name).read_text(encoding="utf-8"))
    if not training.model.model_conf.kd_weight:
        for option in ("kd_weight", "kd_warmup_steps"):  # the recipe's, of no matter
            del training.model.model_conf[option]
    for section in ("encoder_conf", "model_conf", "specaug_conf", "frontend_conf"):
        assert dict(training.model[section]) == want[section], section
    for option, value in want["optim_conf"].items():
        assert training.optimizer[option] == value, option
    assert training.scheduler.warmup_steps == want["scheduler_conf"]["warmup_steps"]
    batches = training.dataloader.train.iter_factory.batches
    assert batches.batch_bins == want["batch_bins"]
    assert training.create_dataset.corpus == corpus
    assert corpus in CORPORA
    assert (training.train_set, training.valid_set) == SETS[corpus]
    assert training.tokenizer.vocab_size == BPE[corpus]
    inference = load("inference", corpus)
    assert inference.dataset_dir == training.dataset_dir
    [test] = inference.dataset.test
    assert test.data_src_args.folder == f"{training.dataset_dir}/test"
