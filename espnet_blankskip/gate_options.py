"""How deep frames run, as one value that goes from users to encoders.

What can be checked without an encoder is checked here, once for all of them.
"""

from dataclasses import dataclass, fields
from typing import Any, Collection, Dict, List, Optional, Sequence, Tuple, Union

from espnet_blankskip.option_values import as_count, as_number

MODES = ("skipping", "dense", "intermediate")
CONV_CONTEXTS = ("stale", "zero", "packed")
ATTN_CONTEXTS = ("kept", "all")
MIN_THRESHOLD = 0.5

Layers = Union[int, str, Sequence[int]]


@dataclass(frozen=True)
class GateOptions:
    """Options of the gates; None leaves one as the checkpoint, or its class, has it.

    Numbers may be numpy scalars or text, as command lines have them.

    Args:
        gate_layers: layers after which blank frames leave, ascending and counted from
            1: a list, a single number, or text such as "4" or "4,8". An empty list
            never skips.
        blank_threshold: a frame leaves when its blank probability reaches this; at
            least 0.5 (below that a skipped frame might have a label as its best
            symbol, and greedy search over kept frames would differ from greedy
            search over all); above 1 nothing is skipped.
        spike_extension: frames kept on both sides of a spike.
        conv_context: what the convolution of later layers sees at a skipped frame:
            its last state ("stale"), nothing ("zero"), or the next kept frame
            ("packed", only for models trained that way).
        attn_context: whether skipped frames are still attended to, at their last
            state ("all"), or not ("kept").
        mode: "skipping", "dense" (every frame runs through every layer) or
            "intermediate" (every frame stops at the first gate). An encoder is told
            it with each batch, so only a recognizer keeps it; None: skipping where
            the encoder has a gate, else dense.

    Raises:
        ValueError: naming the option and its allowed range.
    """

    gate_layers: Optional[Tuple[int, ...]] = None
    blank_threshold: Optional[float] = None
    spike_extension: Optional[int] = None
    conv_context: Optional[str] = None
    attn_context: Optional[str] = None
    mode: Optional[str] = None

    def __post_init__(self):
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check(value))

    def given(self) -> Dict[str, Any]:
        """The options that are not None, as YAML writes them."""
        values = {name: getattr(self, name) for name in GATE_OPTIONS}
        if values["gate_layers"] is not None:
            values["gate_layers"] = list(values["gate_layers"])
        return {name: value for name, value in values.items() if value is not None}

    def flags(self) -> List[str]:
        """The options that are not None, as command lines take them."""
        words = []
        for name, value in self.given().items():
            if name == "gate_layers":
                value = layers_in_words(value)
            words += ["--" + name.replace("_", "-"), str(value)]
        return words

    def unused(self) -> List[str]:
        """Names of given options that the mode leaves without effect."""
        used = {"dense": ["mode"], "intermediate": ["mode", "gate_layers"]}
        return [n for n in self.given() if n not in used.get(self.mode, GATE_OPTIONS)]


GATE_OPTIONS = tuple(field.name for field in fields(GateOptions))


def gate_options_in(names: Collection[str], words: Sequence[str] = ()) -> List[str]:
    """Return the options of the gates, none of which ESPnet's decoders know.

    Args:
        names: options in a decode configuration.
        words: a command line that goes over it.
    """
    typed = [word.partition("=")[0].replace("-", "_") for word in words]
    return [n for n in GATE_OPTIONS if n in names or f"__{n}" in typed]


def check_choice(option: str, value: str, choices: Sequence[str]) -> str:
    """Return a value that must be one of the choices.

    Raises:
        ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"{option}={value} must be one of: {', '.join(choices)}")
    return value


def layers_in_words(gate_layers: Sequence[int]) -> str:
    """Gate layers as a user gives them: "4,8"."""
    return ",".join(map(str, gate_layers))


def _gate_layers(value: Layers) -> Tuple[int, ...]:
    if isinstance(value, str):
        listed = value.strip("[]").split(",") if value.strip("[] ") else []
    else:
        listed = [value] if not hasattr(value, "__iter__") else list(value)
    layers = [as_count(number) for number in listed]
    if None in layers or 0 in layers or layers != sorted(set(layers)):
        shown = ",".join(map(str, listed))
        raise ValueError(
            f"gate_layers=[{shown}] must be ascending layer numbers, counted from 1, "
            "such as 4 or 4,8"
        )
    return tuple(layers)


def _blank_threshold(value) -> float:
    threshold = as_number(value)
    if not threshold >= MIN_THRESHOLD:
        raise ValueError(
            f"blank_threshold={value} must be at least {MIN_THRESHOLD} "
            "(above 1 nothing is skipped)"
        )
    return threshold


def _spike_extension(value) -> int:
    extension = as_count(value)
    if extension is None:
        raise ValueError(
            f"spike_extension={value} must be a whole number of frames >= 0"
        )
    return extension


_CHECKS = {
    "gate_layers": _gate_layers,
    "blank_threshold": _blank_threshold,
    "spike_extension": _spike_extension,
    "conv_context": lambda value: check_choice("conv_context", value, CONV_CONTEXTS),
    "attn_context": lambda value: check_choice("attn_context", value, ATTN_CONTEXTS),
    "mode": lambda value: check_choice("mode", value, MODES),
}

#: Those of an encoder that is built without any.
DEFAULTS = GateOptions((), 0.95, 1, "stale", "kept")
