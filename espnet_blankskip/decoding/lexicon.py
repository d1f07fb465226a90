"""Words that a search may recognize, and how the model's tokens spell them.

A lexicon is a text file with one spelling per line: the word, then its tokens, with
tabs or spaces between them. A word may have several lines.

    hello   ▁he llo
    world   ▁world

`python -m espnet_blankskip.decoding.make_lexicon` makes one from a list of words.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

from espnet_blankskip.decoding.hypothesis import BLANK
from espnet_blankskip.decoding.words import SPACE
from espnet_blankskip.kaldi.lists import ListError, fields, read_lines


@dataclass(eq=False)
class Node:
    """What the tokens read so far of a word lead to.

    Args:
        children: Next node by token.
        words: Words spelled when this node is reached.
        best: Highest score that a word below can still bring; set by the model.
    """

    children: Dict[int, "Node"] = field(default_factory=dict)
    words: List[str] = field(default_factory=list)
    best: float = 0.0


class Lexicon:
    """Prefix tree of the spellings of words.

    Args:
        spellings: Words and their token ids.
        token_list: The model's tokens.
    """

    def __init__(
        self, spellings: Sequence[Tuple[str, Sequence[int]]], token_list: Sequence[str]
    ):
        self.words = list(dict.fromkeys(word for word, _ in spellings))
        self.root = Node()
        for word, token_int in spellings:
            node = self.root
            for token in token_int:
                node = node.children.setdefault(token, Node())
            if word not in node.words:
                node.words.append(word)
        # Words of a character model are spelled with the space before them, which the
        # first word of an utterance lacks.
        self.starts = [self.root]
        if SPACE in token_list and token_list.index(SPACE) in self.root.children:
            self.starts.append(self.root.children[token_list.index(SPACE)])


def read_lexicon(path: Union[str, Path], token_list: Sequence[str]) -> Lexicon:
    """Read a lexicon file.

    Args:
        path: Text file in UTF-8, see above.
        token_list: The model's tokens.

    Returns:
        The lexicon.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line has no tokens, or one that the model does not have; or the
            file has no words or is no text.
    """
    ids = {token: i for i, token in enumerate(token_list) if i != BLANK}
    spellings = []
    try:
        lines = read_lines(path)
    except ListError:
        raise ValueError(f"lexicon={path} is not text in UTF-8") from None
    for number, line in enumerate(lines, start=1):
        word, *tokens = fields(line)
        if not word:
            continue
        if not tokens:
            raise ValueError(f"lexicon={path} line {number}: {word!r} has no tokens")
        unknown = [token for token in tokens if token not in ids]
        if unknown:
            raise ValueError(
                f"lexicon={path} line {number}: {unknown[0]!r} of {word!r} is not "
                f"among the model's {len(ids)} tokens"
            )
        spellings.append((word, [ids[token] for token in tokens]))
    if not spellings:
        raise ValueError(f"lexicon={path} has no words")
    return Lexicon(spellings, token_list)
