"""Names of an input layer's weights, which ESPnet changed in 2026.

Until 202511 a convolutional input layer ends in ``Sequential(Linear, positions)``: its
weights are ``embed.out.0.weight`` and, where the positions have any,
``embed.out.1.alpha``. Since then they are ``embed.out.weight`` and
``embed.pos_enc.alpha``. ESPnet reads old names in the new version, not the reverse,
and drops the old ones where new ones stand beside them, as with ``--init_param``.
"""

from typing import Collection, Dict

from torch import Tensor

_OLD_AND_NEW = (
    ("embed.out.0.", "embed.out."),
    ("embed.out.1.", "embed.pos_enc."),
)


def use_names_of(names: Collection[str], state: Dict[str, Tensor]) -> None:
    """Rename a state dict's weights, in place, to what a model calls them.

    Args:
        names: the names of the model's weights.
        state: weights by the names of either version. A name that the model has under
            neither version stays; one of the other version replaces its twin.
    """
    for name in [name for name in state if name not in names]:
        twins = [
            name.replace(theirs, ours, 1)
            for pair in _OLD_AND_NEW
            for theirs, ours in (pair, pair[::-1])
            if theirs in name
        ]
        for twin in twins:
            if twin in names:
                state[twin] = state.pop(name)
                break
