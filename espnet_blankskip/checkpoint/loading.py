"""Build a trained ASR model from its config and load every weight by name.

ESPnet's own loader drops missing weights silently, so a head can stay random
without a word. Here every difference is an error that names it.
"""

import argparse
import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple, Union

import torch
import yaml

from espnet_blankskip.checkpoint.assets import find_asset
from espnet_blankskip.checkpoint.espnet3_config import with_tokenizer
from espnet_blankskip.checkpoint.model_building import build_asr_model
from espnet_blankskip.checkpoint.state_file import read_state_dict
from espnet_blankskip.checkpoint.statistics import has_statistics, write_statistics
from espnet_blankskip.encoders.input_layer_names import use_names_of
from espnet_blankskip.temporary import temporary_folder
from espnet_blankskip.terminal import first_of

_STATS = "stats_file"


def load_asr_model(
    asr_train_config: Union[str, Path, None],
    asr_model_file: Union[str, Path],
    device: str = "cpu",
    dtype: str = "float32",
    weights_only: bool = True,
) -> Tuple[torch.nn.Module, argparse.Namespace]:
    """Build the model of an experiment and load its weights.

    Args:
        asr_train_config: `config.yaml` that ESPnet wrote while training; None
            takes the one beside the model file.
        asr_model_file: State dict that ESPnet wrote (`valid.loss.ave.pth`, ...).
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32" or "float64".
        weights_only: Refuse pickled objects in the checkpoint.

    Returns:
        The model in eval mode, and the training arguments.

    Raises:
        FileNotFoundError: The config or the model file does not exist.
        ValueError: The config does not describe an ASR model that this
            installation can build, or the weights do not fit it exactly.
    """
    model_file = Path(asr_model_file)
    config = Path(asr_train_config or model_file.parent / "config.yaml")
    train_args = read_train_config(config)
    # Before the build, which may take ten seconds: a wrong path should not.
    state = read_state_dict(model_file, weights_only)
    try:
        with statistics_at_hand(train_args, state):
            model = build_asr_model(train_args)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"--asr_train_config {config}: {error}") from error
    load_weights(model, state, str(model_file), str(config))
    model.to(device=device, dtype=getattr(torch, dtype)).eval()
    return model, train_args


def read_train_config(config: Path) -> argparse.Namespace:
    """Read the YAML that ESPnet wrote beside the checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not YAML, or lacks what an ASR model needs.
    """
    if not config.is_file():
        raise FileNotFoundError(f"--asr_train_config: no such file: {config}")
    # The C parser reads a config with 50,000 tokens in a blink, and is as safe.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = yaml.load(config.read_text(encoding="utf-8"), Loader=loader)
    except yaml.YAMLError as error:
        line = str(error).replace("\n", " ")
        raise ValueError(f"--asr_train_config {config} is not YAML: {line}") from None
    if not isinstance(values, dict):
        raise ValueError(f"--asr_train_config {config} is not a YAML mapping")
    for key in ("token_list", "encoder", "encoder_conf"):
        if values.get(key) is None:
            raise ValueError(
                f"--asr_train_config {config} lacks '{key}': is it the config.yaml "
                "that asr_train wrote into the experiment folder?"
            )
    values = with_tokenizer(values)
    _find_assets(values, config)
    return argparse.Namespace(**values)


def _find_assets(values: Dict[str, Any], config: Path) -> None:
    """Put in where the files lie now that a config names, those that are found."""
    conf = values.get("normalize_conf")
    for section, key in ((values, "token_list"), (values, "bpemodel"), (conf, _STATS)):
        value = section.get(key) if isinstance(section, dict) else None
        # the name of a public tokenizer is no file
        if isinstance(value, str) and value.lower() not in ("", "none"):
            section[key] = str(find_asset(value, config) or value)


@contextlib.contextmanager
def statistics_at_hand(
    train_args: argparse.Namespace, state: Dict[str, torch.Tensor]
) -> Iterator[None]:
    """Let a model be built whose statistics are in its weights, and their file gone."""
    conf = getattr(train_args, "normalize_conf", None) or {}
    stats_file = conf.get(_STATS)
    if stats_file is None or Path(stats_file).is_file() or not has_statistics(state):
        yield
        return
    with temporary_folder("statistics") as folder:
        conf[_STATS] = str(folder / "feats_stats.npz")
        write_statistics(state, Path(conf[_STATS]))
        try:
            yield
        finally:
            conf[_STATS] = stats_file


def load_weights(
    model: torch.nn.Module,
    state: Dict[str, torch.Tensor],
    model_file: str,
    config: Optional[str] = None,
) -> None:
    """Load a state dict, refusing any missing, unexpected or misshapen weight.

    Args:
        model: Model to fill.
        state: Weights by name, as any ESPnet version names them.
        model_file: Where they came from, for messages.
        config: Where the model came from, for messages.

    Raises:
        ValueError: Names and shapes do not match exactly.
    """
    own, state = model.state_dict(), dict(state)
    use_names_of(own, state)
    where = f"{model_file} does not fit {config or 'the model'}: "
    for name in ("ctc.ctc_lo.bias", "ctc.ctc_lo.weight"):
        if name in own and name in state and own[name].shape != state[name].shape:
            raise ValueError(
                f"{where}another vocabulary ({name} is {tuple(state[name].shape)} in "
                f"the checkpoint, {tuple(own[name].shape)} by the config's token_list)"
            )
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and own[name].shape != state[name].shape
    ]
    faults = [
        f"{word} {first_of(names)}"
        for word, names in (
            ("missing weights:", missing),
            ("unexpected weights:", unexpected),
            ("other shapes:", misshapen),
        )
        if names
    ]
    if faults:
        raise ValueError(where + "; ".join(faults))
    model.load_state_dict(state, strict=True)
