"""Parsers whose errors are one line and name options as the user typed them."""

import argparse
import difflib
import re
from contextlib import contextmanager
from typing import (
    Collection,
    Dict,
    Iterator,
    List,
    Mapping,
    NoReturn,
    Optional,
    Sequence,
)


class UsageError(ValueError):
    """A wrong command line; the message is one line for the user."""


class OneLineErrors:
    """Mix-in for an ``ArgumentParser``; its options are not to be abbreviated.

    ``--beam_size`` and ``--beam-size`` are the same to it.
    """

    #: What earlier versions called an option: the option, or it and its value.
    aliases: Mapping[str, Sequence[str]] = {}
    #: Options whose values came from a file, where they have their YAML names.
    from_file: Collection[str] = ()

    def parse_args(self, args: Sequence[str], namespace=None) -> argparse.Namespace:
        """Parse a command line.

        Raises:
            UsageError: it is wrong; the message points to ``--help``.
        """
        self.typed: Dict[str, str] = {}
        words = [word for given in args for word in self._spelt(str(given))]
        return super().parse_args(words, namespace)

    def _spelt(self, word: str) -> List[str]:
        """A word as the parser knows it; how an option was typed is remembered."""
        if not word.startswith("--") or word == "--":
            return [word]
        typed, equals, value = word.partition("=")
        name = "--" + typed[2:].replace("_", "-")
        name, *fixed = self.aliases.get(name, [name])
        for spelling in (name, name[:2] + name[2:].replace("-", "_")):
            action = self._option_string_actions.get(spelling)
            if action is not None:
                earlier = self.typed.setdefault(action.dest, typed)
                if earlier != typed:
                    self.error(f"{typed} and {earlier} cannot be given together")
                return [spelling + equals + value, *fixed]
        return [word]

    def error(self, message: str) -> NoReturn:
        """Raise a ``UsageError`` for what argparse found."""
        in_file = re.fullmatch(r"unrecognized arguments: (\S+) \(from (.*)\)", message)
        unknown = re.fullmatch(r"unrecognized arguments: (.*)", message, re.DOTALL)
        if in_file:
            message = f"{in_file[2]}: {self._about_unknown('--' + in_file[1])}"
        elif unknown:
            message = self._about_unknown(unknown[1].split()[0].partition("=")[0])
        named = re.match(r"argument (--[\w-]+)[^:]*: ", message)
        if named:
            dest = self._option_string_actions[named[1]].dest
            message = f"{self.typed.get(dest, named[1])}: {message[named.end() :]}"
        raise UsageError(f"{message} ({self.prog} --help)")

    def _about_unknown(self, word: str) -> str:
        if not word.startswith("-"):
            joined = (
                " (the layers of one list are joined: 4,8)" if word.isdigit() else ""
            )
            return f"unexpected argument '{word}'{joined}"
        known = {name: [name] for name in self._option_string_actions}
        near = difflib.get_close_matches(word, {**self.aliases, **known}, n=1)
        if not near:
            return f"no option {word}"
        meant = " ".join({**self.aliases, **known}[near[0]])
        return f"no option {word}; did you mean {meant}?"

    @contextmanager
    def naming_options(self) -> Iterator[None]:
        """Let errors inside name options as they were typed, and point to --help.

        Raises:
            UsageError: in place of a ``ValueError`` or ``OSError`` that names one.
        """
        try:
            yield
        except (ValueError, OSError) as error:
            message = self.as_typed(str(error))
            if message == str(error):
                raise
            raise UsageError(f"{message} ({self.prog} --help)") from None

    def as_typed(self, message: str) -> str:
        """Put ``--beam-size 0`` for ``beam_size=0`` into a message."""
        here = r"(?<![\w./-])"  # not inside of a path or a longer name
        for action in self._actions:
            dest = action.dest
            if not action.option_strings or dest in self.from_file:
                continue
            name = self.typed.get(dest, action.option_strings[-1])
            for fixed in self.aliases.get(name, ())[1:]:
                message = re.sub(rf"{here}{dest}={fixed}\b", name, message)
            message = re.sub(
                rf"{here}{dest}=\[([^\]]*)\]",
                lambda found, name=name: f"{name} {found[1].replace(' ', '')}",
                message,
            )
            message = re.sub(rf"{here}{dest}=(?=\S)", f"{name} ", message)
            if "_" in dest:
                message = re.sub(rf"{here}{dest}(?![\w=./])", name, message)
        return message


class CommandParser(OneLineErrors, argparse.ArgumentParser):
    """The parser of one command.

    Args:
        prog: the command.
        description: what it does.
        example: a command line, shown under the help.
        aliases: as in ``OneLineErrors``.
    """

    def __init__(
        self,
        prog: str,
        description: str,
        example: str,
        aliases: Optional[Mapping[str, Sequence[str]]] = None,
    ):
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"example: {example}",
            allow_abbrev=False,
        )
        self.aliases = dict(aliases or {})
