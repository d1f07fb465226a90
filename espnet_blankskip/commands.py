"""ESPnet commands that need more of the wrapper than the plugin's registration.

asr.sh decodes with ``asr_inference`` and packs with ``pack``, whatever the model is.
"""

from pathlib import Path
from typing import List, Optional

from espnet_blankskip.gate_options import gate_options_in

INFERENCE = "espnet2.bin.asr_inference"
DECODE = "espnet_blankskip.bin.asr_decode"
PACK = "espnet2.bin.pack"


def replacement(name: str, args: List[str]) -> str:
    """Return the module to run in place of an ESPnet command.

    Args:
        name: the command's module.
        args: its arguments.

    Returns:
        Our decoder for ``asr_inference`` with an option of the gates, in its decode
        configuration or among its arguments; else the module itself.
    """
    config = _option(args, "--config")
    if name != INFERENCE:
        return name
    values = {}
    if config is not None and Path(config).is_file():
        import yaml

        values = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    options = list(values) if isinstance(values, dict) else []
    return DECODE if gate_options_in(options, args) else name


def finish(name: str, args: List[str]) -> int:
    """Do what is left after a command has succeeded.

    A packed model gets the plugin's requirement, which ESPnet does not know of.

    Returns:
        Exit status.
    """
    packed = _option(args, "--outpath")
    if name == PACK and packed is not None and packed.endswith(".zip"):
        from espnet_blankskip.zoo.requirements import require_plugin

        require_plugin(Path(packed))
    return 0


def _option(args: List[str], name: str) -> Optional[str]:
    """Value of an option, the last one given; None without it."""
    value = None
    for word, following in zip(args, [*args[1:], None]):
        if word == name:
            value = following
        elif word.startswith(f"{name}="):
            value = word.partition("=")[2]
    return value
