"""Tensors computed from a module's parameters, renewed when those change."""

from typing import Any, Callable, Dict, Sequence, Tuple

from torch import Tensor


class Derived:
    """Remembers what was derived from parameters until one of them is another.

    A change is seen through the parameter's memory and version counter: training
    steps, ``load_state_dict`` and ``.to(...)`` are noticed; writing through ``.data``
    is not, since torch does not count it: whoever owns a ``Derived`` forgets it in
    ``train()`` and ``eval()``. The parameters' memory is held on to, so that a new
    tensor cannot be taken for an old one at the same address.

    Copies and pickles start empty: what is remembered can be computed anew.
    """

    def __init__(self):
        self._entries: Dict[Any, Tuple[tuple, list, Any]] = {}

    def get(
        self,
        name,
        sources: Sequence[Tensor],
        make: Callable[[], Any],
        enough: Callable[[Any], bool] = lambda value: True,
    ):
        """Return what was derived under a name, computed anew where it has to be.

        Args:
            name: key of the value.
            sources: parameters and buffers it depends on.
            make: computes it.
            enough: whether a remembered value serves this time.
        """
        state = tuple(_state(source) for source in sources)
        known, _, value = self._entries.get(name, (None, None, None))
        if known != state or not enough(value):
            value = make()
            self._entries[name] = (state, [s.detach() for s in sources], value)
        return value

    def forget(self) -> None:
        """Compute everything anew when it is next asked for."""
        self._entries = {}

    def __reduce__(self):
        return Derived, ()


def _state(source: Tensor) -> tuple:
    version = 0 if source.is_inference() else source._version
    return source.data_ptr(), version, source.dtype, source.device
