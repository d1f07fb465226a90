"""Options of the commands that recognize speech, each written down once.

Their values are checked where they are used (`gate_options`, `search_options`), so
they pass through here as text.
"""

import argparse
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence

from espnet_blankskip.command_parser import CommandParser, UsageError
from espnet_blankskip.decoding.decode_config import read_decode_config, take_options
from espnet_blankskip.gate_options import ATTN_CONTEXTS, CONV_CONTEXTS, MODES

CHECKPOINT = "experiment folder, zip, .pth file, unpacked folder or model-zoo tag"
#: ESPnet calls them by the words of its prompt.
PROMPT_ALIASES = {"--lang-sym": ["--lang"], "--task-sym": ["--task"]}
#: What earlier versions called options of transcribe and show.
ALIASES = {
    "--threshold": ["--blank-threshold"],
    "--dense": ["--mode", "dense"],
    "--intermediate": ["--mode", "intermediate"],
    "--beam": ["--beam-size"],
    "--lm": ["--lm-file"],
    **PROMPT_ALIASES,
}


@dataclass(frozen=True)
class Option:
    """An option of decoding.

    Args:
        name: as in YAML and Python.
        value: what stands for its value in a help text.
        help: what it does, without the default.
        default: what holds without it, in words.
    """

    name: str
    value: str
    help: str
    default: str


MODE = Option(
    "mode",
    "{" + ",".join(MODES) + "}",
    "skipping: blank frames leave at the gates; dense: all frames run through all "
    "layers; intermediate: all stop at the first gate",
    "skipping where the checkpoint has a gate, else dense",
)
GATE = (
    Option(
        "gate_layers",
        "K,K",
        "layers after which blank frames leave, counted from 1, such as 4 or 4,8",
        "as trained",
    ),
    Option(
        "blank_threshold",
        "P",
        "blank probability, at least 0.5, from which a frame leaves; above 1 none does",
        "as trained",
    ),
    Option(
        "spike_extension",
        "FRAMES",
        "encoder frames kept on both sides of a spike",
        "as trained",
    ),
    Option(
        "conv_context",
        "{" + ",".join(CONV_CONTEXTS) + "}",
        "what convolutions see at a frame that has left: its last state, nothing, or "
        "the next kept frame",
        "as trained",
    ),
    Option(
        "attn_context",
        "{" + ",".join(ATTN_CONTEXTS) + "}",
        "frames attended to: the kept ones, or all, those that have left at their last "
        "state",
        "as trained",
    ),
)
SEARCH = (
    Option("beam_size", "N", "hypotheses kept per frame; 1 searches greedily", "1"),
    Option("nbest", "N", "hypotheses to return, at most as many as the beam", "1"),
    Option(
        "lm_file",
        "FILE",
        "n-gram, ARPA or KenLM binary, over the words of the lexicon if one is given, "
        "else over the model's tokens",
        "none",
    ),
    Option(
        "lexicon",
        "FILE",
        "recognize these words only; each line: a word, then its tokens",
        "any word",
    ),
    Option("lm_weight", "W", "weight of the n-gram's natural log-probability", "0.5"),
    Option("word_score", "S", "added for every word of the lexicon", "0"),
)


PROMPT = ("lang_sym", "task_sym")
#: Names of all options of decoding on a command line.
DECODING = (
    *(option.name for option in (MODE, *GATE, *SEARCH)),
    "dtype",
    "channel",
    "device",
    *PROMPT,
)


def add_options(
    parser: argparse.ArgumentParser,
    options: Sequence[Option],
    several: Sequence[str] = (),
    defaults: Optional[Dict[str, str]] = None,
    join: str = "-",
) -> None:
    """Add options to a command.

    Args:
        parser: of the command.
        options: which ones.
        several: names of those that take alternatives, separated by spaces.
        defaults: what holds without one here, by name, where that is another thing.
        join: what stands between the words of a name.
    """
    for option in options:
        words = "; several are tried" if option.name in several else ""
        default = (defaults or {}).get(option.name, option.default)
        parser.add_argument(
            "--" + option.name.replace("_", join),
            metavar=option.value,
            nargs="+" if option.name in several else None,
            help=f"{option.help}{words} ({default})",
        )


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which model listens.

    Not as ``model``: that is an option of training configs, which errors name too.
    """
    parser.add_argument(
        "--model",
        required=True,
        dest="checkpoint",
        metavar="CHECKPOINT",
        help=CHECKPOINT,
    )


def add_decoding_options(
    parser: argparse.ArgumentParser, without: Sequence[str] = ()
) -> None:
    """Add the options that say how, and where, the model decodes."""
    add_decode_config(parser)
    options = [o for o in (MODE, *GATE, *SEARCH) if o.name not in without]
    add_options(parser, options)
    add_prompt_options(parser)
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64", "bfloat16", "int8"),
        help="arithmetic; int8 in exported models alone (float32)",
    )
    parser.add_argument(
        "--channel",
        metavar="N",
        help="channel to hear, counted from 0 (the average of all)",
    )
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda or cuda:N (cpu)")


def add_prompt_options(
    parser: argparse.ArgumentParser, names: Sequence[str] = ("--lang", "--task")
) -> None:
    """Add the options that say what a model of OWSM-CTC's kind is asked for."""
    lang, task = names
    parser.add_argument(
        lang,
        dest="lang_sym",
        metavar="ISO",
        help="language of the speech such as eng, for OWSM-CTC (found out by it)",
    )
    parser.add_argument(
        task,
        dest="task_sym",
        metavar="TASK",
        help="asr, or a translation such as st_deu, for OWSM-CTC (asr)",
    )


def add_decode_config(parser: argparse.ArgumentParser) -> None:
    """Add the option for what ``calibrate`` writes, and conf/ has."""
    parser.add_argument(
        "--decode-config",
        metavar="YAML",
        help="file of decoding options by their YAML names, such as calibrate writes; "
        "options given beside it win (none)",
    )


def decoding_options(
    parser: CommandParser, args: argparse.Namespace, names: Sequence[str]
) -> Dict[str, Any]:
    """Put the options that were typed over those of the decode config, and check them.

    Args:
        parser: the command's, which ``args`` came from.
        args: its options.
        names: those of decoding that the command has.

    Returns:
        Options of ``BlankSkipSpeech2Text``, without those that are not given.

    Raises:
        ValueError, OSError: an option or the file cannot be used.
    """
    in_file = (
        {} if args.decode_config is None else read_decode_config(args.decode_config)
    )
    typed = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    parser.from_file = set(in_file) - set(typed)
    options = {**in_file, **typed}
    gate, _, _ = take_options(options)
    unused = gate.unused()
    useless = [name for name in unused if name in typed]
    if useless:
        raise UsageError(
            f"{', '.join(useless)} would have no effect with mode={gate.mode}"
        )
    return {name: value for name, value in options.items() if name not in unused}
