"""The weights inside a checkpoint of Lightning, which ESPnet3 trains with."""

from typing import Any

VERSION_KEY = "pytorch-lightning_version"
PREFIX = "model."  # what Lightning puts before the names of the model it trains


def weights_inside(loaded: Any) -> Any:
    """Take the state dict out of a Lightning checkpoint.

    What else it holds (optimizer, schedulers, callbacks, the position in the data) is
    for going on with the training.

    Args:
        loaded: What ``torch.load`` returned.

    Returns:
        The weights under the model's own names; anything that is no Lightning
        checkpoint as it is, but for the prefix.
    """
    state = loaded
    if isinstance(loaded, dict) and VERSION_KEY in loaded:
        state = loaded.get("state_dict", {})
    # no part of ESPnet's models has this name, so it is never one of their own
    if isinstance(state, dict) and state and all(_prefixed(key) for key in state):
        return {key[len(PREFIX) :]: value for key, value in state.items()}
    return state


def _prefixed(key: Any) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)
