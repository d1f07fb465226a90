"""Which training options the statistics of stage 10 depend on.

Shapes and feature statistics come from the data, the tokenizer and the frontend. What
comes after the frontend, or only says how to train, does not change them. The list
names what is known not to matter, so that an option it does not know begins anew.
"""

from typing import Any, Dict, List, Sequence

import yaml

from espnet_blankskip.recipe.markers import Facts
from espnet_blankskip.recipe.recipe_run import RecipeRun

WITHOUT_EFFECT = frozenset(
    """
    specaug specaug_conf normalize normalize_conf preencoder preencoder_conf
    encoder encoder_conf postencoder postencoder_conf decoder decoder_conf ctc_conf
    joint_net_conf init_param ignore_init_mismatch freeze_param
    optim optim_conf scheduler scheduler_conf exclude_weight_decay
    exclude_weight_decay_conf max_epoch patience num_iters_per_epoch accum_grad
    grad_clip grad_clip_type grad_noise use_amp resume
    val_scheduler_criterion early_stopping_criterion best_model_criterion
    keep_nbest_models nbest_averaging_interval
    batch_type batch_size batch_bins valid_batch_type valid_batch_size
    valid_batch_bins max_batch_size min_batch_size fold_length sort_in_batch
    sort_batch shuffle_within_batch num_workers multiple_iterator
    log_level log_interval num_att_plot use_matplotlib use_tensorboard use_wandb
    wandb_project wandb_id wandb_entity wandb_name wandb_model_log_interval
    ngpu multiprocessing_distributed dist_backend unused_parameters
    """.split()
)
#: The one option of the model itself that stage 10 reads.
MODEL_OPTION = "extract_feats_in_collect_stats"


def statistics_facts(run: RecipeRun) -> Facts:
    """What the statistics depend on."""
    options = run.options
    text = options.asr_config.read_text(encoding="utf-8") if options.asr_config else ""
    return {
        **run.model_facts(),
        "asr_config": relevant_options(yaml.safe_load(text) or {}),
        "asr_args": relevant_arguments(options.asr_args),
    }


def relevant_options(config: Dict[str, Any]) -> Dict[str, Any]:
    """Options of a training configuration that can change the statistics."""
    relevant = {k: v for k, v in config.items() if k not in WITHOUT_EFFECT}
    model_conf = relevant.pop("model_conf", None) or {}
    if MODEL_OPTION in model_conf:
        relevant["model_conf"] = {MODEL_OPTION: model_conf[MODEL_OPTION]}
    return relevant


def relevant_arguments(words: Sequence[str]) -> List[str]:
    """The same for ``--name value ...`` and ``--name=value`` on a command line."""
    relevant: List[str] = []
    kept = True
    for word in words:
        if word.startswith("--"):
            kept = word[2:].partition("=")[0] not in WITHOUT_EFFECT
        if kept:
            relevant.append(word)
    return relevant
