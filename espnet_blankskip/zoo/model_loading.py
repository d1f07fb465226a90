"""Build a checkpoint's model and give it every weight by name."""

from argparse import Namespace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from packaging.version import InvalidVersion, Version

from espnet_blankskip.checkpoint import load_weights
from espnet_blankskip.checkpoint.model_building import build_asr_model
from espnet_blankskip.checkpoint.s2t_ctc_building import is_s2t_ctc
from espnet_blankskip.terminal import typed_line
from espnet_blankskip.zoo.archive import Checkpoint, open_checkpoint
from espnet_blankskip.zoo.conversion_plan import with_gates
from espnet_blankskip.zoo.errors import CheckpointError
from espnet_blankskip.zoo.inspection import Inspection, look_inside
from espnet_blankskip.zoo.weights import read_weights

# written by ESPnet's trainer beside the options of its parser
_NOT_OPTIONS = {"config", "version", "distributed", "required"}
_UNSET = (None, False, "", [], {})


def load_checkpoint(
    source: str,
    device: str = "cpu",
    dtype: str = "float32",
    gate_layers: Optional[Sequence[int]] = None,
) -> Tuple[torch.nn.Module, Namespace, Inspection]:
    """Load a zoo tag, zip, folder or experiment.

    Args:
        source: as for ``open_checkpoint``.
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32" or "float64".
        gate_layers: gates for a stock checkpoint, at layers with an intermediate CTC;
            one with gates of its own keeps those.

    Returns:
        The model in eval mode, its training arguments, and what ``inspect`` says.

    Raises:
        CheckpointError: naming the option or weight at fault. Nothing is loaded in
            part and nothing stays random.
    """
    checkpoint = open_checkpoint(source)
    state = read_weights(checkpoint.model_file)
    found = look_inside(checkpoint, state=state)
    check_loadable(checkpoint, found)
    config = checkpoint.config
    if gate_layers and not found.gate_layers:
        config = with_gates(checkpoint, found, gate_layers)
    model, train_args = build_model(config, source)
    fill_model(model, state, source)
    model.to(device=device, dtype=getattr(torch, dtype)).eval()
    return model, train_args, found


def check_loadable(checkpoint: Checkpoint, found: Inspection) -> None:
    """Refuse a checkpoint that cannot be built exactly as it was trained.

    Raises:
        CheckpointError: naming the option, file or weight.
    """
    if found.problems:
        raise CheckpointError(f"{checkpoint.source}: {'; '.join(found.problems)}")
    if checkpoint.task != "asr" and not is_s2t_ctc(checkpoint.config):
        raise CheckpointError(
            f"{checkpoint.source}: an {checkpoint.task} checkpoint with a decoder; the "
            "ASR task and OWSM-CTC are what can be loaded here"
        )
    for key in ("token_list", "encoder"):
        if checkpoint.config.get(key) is None:
            raise CheckpointError(f"{checkpoint.source}: its config lacks '{key}'")


def build_model(
    config: Dict[str, Any], source: str
) -> Tuple[torch.nn.Module, Namespace]:
    """Build the model of a config, with random weights.

    Raises:
        CheckpointError: the config does not describe a model that ESPnet can build.
    """
    if is_newer(config.get("version")):
        check_newer(config, source)
    train_args = Namespace(**config)
    try:
        model = build_asr_model(train_args)
    except AttributeError as error:
        raise CheckpointError(
            f"{source}: its config lacks an option: {error}"
        ) from None
    except Exception as error:  # assertions and type checks of every ESPnet class
        raise CheckpointError(
            f"{source}: ESPnet cannot build it: {typed_line(error)}"
        ) from None
    return model, train_args


def check_newer(config: Dict[str, Any], source: str) -> None:
    """Refuse a newer ESPnet's config with options that the one installed lacks.

    ESPnet's parser knows them, and takes ten seconds to import. What an older
    version wrote is only at risk in the options of a part (``encoder_conf``, ...),
    and of those the part's own constructor takes no unknown one.

    Raises:
        CheckpointError: naming the options.
    """
    from espnet_blankskip.upstream import asr_task, s2t_ctc_task

    task = s2t_ctc_task() if is_s2t_ctc(config) else asr_task()
    # not get_default_config(), which reads this process's command line
    strange = unknown_keys(config, vars(task.get_parser().parse_args([])))
    if strange:
        raise CheckpointError(
            f"{source}: made with ESPnet {config['version']}, newer than the one "
            f"installed, which does not know: {', '.join(strange)}"
        )


def fill_model(
    model: torch.nn.Module,
    state: Dict[str, torch.Tensor],
    source: str,
    new: Optional[List[str]] = None,
) -> None:
    """Give a model its weights by name.

    Args:
        model: the model.
        state: weights by name.
        source: where they came from, for messages.
        new: weights that may keep their initial value, which the caller sets later.

    Raises:
        CheckpointError: another weight is missing, left over or misshapen.
    """
    own = model.state_dict()
    filled = dict(state)
    for name in new or ():
        if name in own:
            filled.setdefault(name, own[name])
    try:
        load_weights(model, filled, source, "its config")
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def unknown_keys(config: Dict[str, Any], known: Dict[str, Any]) -> List[str]:
    """Options of a config that are set but that ESPnet's parser does not have."""
    return [
        key
        for key, value in config.items()
        if key not in known and key not in _NOT_OPTIONS and value not in _UNSET
    ]


def is_newer(version: Any) -> bool:
    """Whether a config was written by a newer ESPnet than the one installed."""
    from espnet_blankskip.upstream import ESPNET

    try:
        return Version(str(version)) > Version(str(ESPNET.version))
    except InvalidVersion:
        return False
