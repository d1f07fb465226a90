"""A command line of run.sh, read and checked before anything is done."""

import argparse
import difflib
import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from espnet_blankskip.recipe.backends import choose_backends
from espnet_blankskip.recipe.option_list import (
    FIRST_STAGE,
    LAST_STAGE,
    NO_STOP,
    OptionError,
    build_parser,
)
from espnet_blankskip.terminal import one_line

NO_LM_STAGES = "needs an ESPnet tree (this driver has no language model stages)"


def pair_up(argv: Sequence[str], known: Sequence[str]) -> List[str]:
    """Join every option and its value to ``--name=value``.

    asr.sh takes the word after an option as its value even where it starts with a
    dash, and ``--train-set`` for ``--train_set``; argparse does neither.

    Raises:
        OptionError: Unknown option, missing value, or a word that is no option.
    """
    paired, rest = [], list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise OptionError(f"'{word}' is not an option (they begin with --)")
        name, given, value = word.partition("=")
        name = "--" + name[2:].replace("-", "_")
        if name == "--help":
            paired.append(name)
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else " (see --help)"
            raise OptionError(f"unknown option {name}{hint}")
        if not given:
            if not rest:
                raise OptionError(f"{name} needs a value")
            value = rest.pop(0)
        paired.append(f"{name}={value}")
    return paired


def parse_options(argv: Sequence[str]) -> Optional[argparse.Namespace]:
    """Read and check a command line, and the commands that cmd.sh exports.

    Returns:
        The options; None after ``--help``, which is printed.

    Raises:
        OptionError: Anything wrong, in one line that names the option.
    """
    parser = build_parser()
    known = [name for action in parser._actions for name in action.option_strings]
    paired = pair_up(argv, known)
    if "--help" in paired:
        print_help(parser, [word for word in paired if word != "--help"])
        return None
    options = parser.parse_args(paired)
    check_stages(options)
    check_support(options)
    for name in ("train_set", "valid_set", "test_sets"):
        if not getattr(options, name):
            raise OptionError(f"--{name} is required")
    # what is asked for twice is done once
    options.test_sets = list(dict.fromkeys(options.test_sets))
    options.inference_config = list(dict.fromkeys(options.inference_config))
    if options.max_wav_duration <= options.min_wav_duration:
        raise OptionError(
            f"--max_wav_duration {options.max_wav_duration:g} must be above "
            f"--min_wav_duration {options.min_wav_duration:g}"
        )
    if options.inference_tag and len(options.inference_config) > 1:
        raise OptionError(
            "--inference_tag names one result, but --inference_config "
            f"has {len(options.inference_config)} configurations"
        )
    check_names_of_results(options.inference_config)
    check_config("--asr_config", options.asr_config)
    for path in options.inference_config:
        check_config("--inference_config", Path(path))
    options.backends = choose_backends(os.environ)
    return options


def print_help(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Print the help with what this call would run with: run.sh gives defaults."""
    values = dict(word[2:].split("=", 1) for word in given)
    for action in parser._actions:
        default = values.get(action.dest, action.default)
        if isinstance(default, list):
            default = " ".join(map(str, default))
        elif isinstance(default, bool):
            default = str(default).lower()
        if action.dest != "help":
            action.default = "none" if default in (None, "") else default
    parser.print_help()


def check_stages(options: argparse.Namespace) -> None:
    """Refuse stage numbers that do not exist or contradict each other."""
    last = f"{FIRST_STAGE}..{LAST_STAGE}"
    if not FIRST_STAGE <= options.stage <= LAST_STAGE:
        raise OptionError(f"--stage {options.stage} must lie in {last}")
    stop = options.stop_stage
    if not (FIRST_STAGE <= stop <= LAST_STAGE or stop == NO_STOP):
        raise OptionError(f"--stop_stage {stop} must lie in {last}")
    if stop < options.stage:
        raise OptionError(f"--stop_stage {stop} is before --stage {options.stage}")
    numbers = [str(n) for n in range(FIRST_STAGE, LAST_STAGE + 1)]
    for number in options.skip_stages:
        if number not in numbers:
            raise OptionError(f"--skip_stages {number} must lie in {last}")


def check_support(options: argparse.Namespace) -> None:
    """Refuse what asr.sh can do and this driver cannot."""
    if options.use_lm:
        raise OptionError(f"--use_lm true {NO_LM_STAGES}")
    if options.use_ngram:
        raise OptionError(f"--use_ngram true {NO_LM_STAGES}")
    if not options.skip_upload_hf:
        raise OptionError("--skip_upload_hf false needs an ESPnet tree")
    if options.num_nodes > 1:
        raise OptionError(f"--num_nodes {options.num_nodes} needs an ESPnet tree")
    if options.nlsyms_txt != "none" and not Path(options.nlsyms_txt).is_file():
        raise OptionError(f"--nlsyms_txt: no such file: {options.nlsyms_txt}")


def check_names_of_results(configs: Sequence[str]) -> None:
    """Refuse configurations whose results would go into one folder."""
    called: Dict[str, str] = {}
    for config in configs:
        other = called.setdefault(Path(config).stem, config)
        if other != config:
            raise OptionError(
                f"--inference_config: the results of {other} and {config} would have "
                "one name: give one of the files another"
            )


def check_config(name: str, path) -> None:
    """Refuse a configuration that is missing or no YAML mapping."""
    if path is None:
        return
    if not path.is_file():
        raise OptionError(f"{name}: no such file: {path}")
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OptionError(f"{name} {path}: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise OptionError(f"{name} {path}: not a list of `option: value` lines")
