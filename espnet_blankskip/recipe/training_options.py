"""``python -m espnet_blankskip.recipe.training_options``: does asr_train take them?

Takes the options of asr_train that run.sh passes on. ESPnet's parser knows their names,
and the classes that are chosen by them know those of their own options, which ESPnet
would find out in stages 10 and 11. Its import takes ten seconds, hence this program.
"""

import difflib
import inspect
import sys
from typing import Collection, Iterator, NoReturn, Optional, Sequence, Set, Tuple

from espnet_blankskip.upstream import CTC, asr_task, optimizers_and_schedulers


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Check options; what is wrong with them is one line on standard error.

    Returns:
        0, or 2 if one of them is unknown.
    """
    parser = asr_task().get_parser()

    def error(message: str) -> NoReturn:
        raise ValueError(message)

    parser.error = error
    try:
        check(parser.parse_args(sys.argv[1:] if argv is None else argv))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def check(args) -> None:
    """Check the options of the classes that are chosen.

    Raises:
        ValueError: Names the first unknown one, and a known one like it.
    """
    for section, chosen in _sections(args):
        known = parameters(chosen)
        for name in getattr(args, section, None) or {}:
            if known is not None and name not in known:
                raise ValueError(
                    f"{section}: {chosen.__name__} has no option {name}"
                    + did_you_mean(name, known)
                )


def _sections(args) -> Iterator[Tuple[str, type]]:
    """Options that hold the options of a class, and the class."""
    yield "ctc_conf", CTC
    for part, classes in zip(("optim", "scheduler"), optimizers_and_schedulers()):
        if getattr(args, part, None) in classes:
            yield f"{part}_conf", classes[getattr(args, part)]
    for choices in asr_task().class_choices_list:
        name = getattr(args, choices.name, None)
        chosen = None if name is None else choices.get_class(name)
        if chosen is not None:
            yield f"{choices.name}_conf", chosen


def parameters(chosen: type) -> Optional[Set[str]]:
    """Names that a class's constructor takes; None if it takes any."""
    names: Set[str] = set()
    for base in chosen.__mro__:
        init = vars(base).get("__init__")
        if init is None or base is object:
            continue
        taken = inspect.signature(init).parameters.values()
        names |= {p.name for p in taken}
        # what it takes by ** goes on to the class above
        if all(p.kind is not p.VAR_KEYWORD for p in taken):
            return names
    return None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A known name like this one, as the end of an error's line."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


if __name__ == "__main__":
    sys.exit(main())
