"""Arguments that a docstring explains together get a row each, with type and default.

``mkdocs.yml`` names this file as an extension of the reader of docstrings.
"""

import re

import griffe

TOGETHER = re.compile(
    r"^( +)(\*{0,2}\w+(?:, \*{0,2}\w+)+):(.*(?:\n\1 +.*)*)$", re.MULTILINE
)


def apart(match: re.Match) -> str:
    """Return an explanation once for each of its arguments."""
    return "\n".join(f"{match[1]}{name}:{match[3]}" for name in match[2].split(", "))


class ArgumentsApart(griffe.Extension):
    """Rewrites docstrings when they have been read from the source."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Rewrite the docstring of a module, class or function."""
        if obj.docstring is not None:
            obj.docstring.value = TOGETHER.sub(apart, obj.docstring.value)
