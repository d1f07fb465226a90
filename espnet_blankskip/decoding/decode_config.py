"""Options of decoding by their names: those of Python, of YAML, of command lines."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from espnet_blankskip.decoding.search_options import SEARCH_OPTIONS, SearchOptions
from espnet_blankskip.gate_options import GATE_OPTIONS, GateOptions
from espnet_blankskip.terminal import one_line

#: Further options of `BlankSkipSpeech2Text` that a decode config may have.
MORE_OPTIONS = ("batch_size", "dtype", "lang_sym", "task_sym")
#: Of the process that `asr_decode` is, and no matter to how it decodes.
PROCESS_OPTIONS = ("log_level", "ngpu", "num_workers", "seed")


def take_options(
    values: Mapping[str, Any],
    gate: Optional[GateOptions] = None,
    search: Optional[SearchOptions] = None,
) -> Tuple[GateOptions, SearchOptions, Dict[str, Any]]:
    """Sort options by what they are options of.

    Args:
        values: options by name; None leaves one as it is.
        gate, search: what they are put over.

    Returns:
        Options of the gates, options of the search, and the others.

    Raises:
        ValueError: naming an option and its allowed range.
    """
    values = {name: value for name, value in values.items() if value is not None}
    of_gate = {name: values.pop(name) for name in GATE_OPTIONS if name in values}
    of_search = {name: values.pop(name) for name in SEARCH_OPTIONS if name in values}
    return (
        replace(gate or GateOptions(), **of_gate),
        replace(search or SearchOptions(), **of_search),
        values,
    )


def read_decode_config(path: Union[str, Path]) -> Dict[str, Any]:
    """Read a decode config, such as those in conf/ or one that calibration wrote.

    Returns:
        Options by name, for ``BlankSkipSpeech2Text(**options)``.

    Raises:
        ValueError: it is no such file; the message begins with its path and names
            the option.
        OSError: it cannot be read.
    """
    import yaml  # which recognition without such a file need not wait for

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: not a list of `option: value` lines")
    known = (*GATE_OPTIONS, *SEARCH_OPTIONS, *MORE_OPTIONS)
    for name in values:
        if name not in (*known, *PROCESS_OPTIONS):
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{path}: {name} is no option of decoding here{hint}")
    options = {k: v for k, v in values.items() if k in known and v is not None}
    try:
        take_options(options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return options
