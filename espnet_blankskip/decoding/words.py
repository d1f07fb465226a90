"""Group tokens into words, each with its time and confidence.

A token's confidence is the posterior of its label at the frame of its run where that
is highest. A word is as sure as its least sure token (the minimum): one wrong token
makes a wrong word, and unlike the product a minimum does not fall with the length of
a word. Such posteriors order words by how sure they are; they lie nearer to 1 than the
share of words that are right. For other measures see Laptev and Ginsburg, SLT 2022,
arXiv 2212.08703.
"""

import re
from dataclasses import dataclass
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from espnet_blankskip.decoding.segmentation import (
    is_mark,
    unspaced_script,
    word_starts,
)

SPACE = "<space>"  # ESPnet's token for a space between characters
WORD_BEGIN = "\u2581"  # sentencepiece's mark for a space before a piece
UNKNOWN = "<unk>"  # sentencepiece's unknown piece, and what it writes for it
WRITTEN_UNKNOWN = "\u2047"
_BYTE = re.compile("<0x([0-9A-F]{2})>")  # sentencepiece's piece of a character


@dataclass(frozen=True)
class Word:
    """One recognized word.

    Args:
        text: The word as written in the transcript.
        start: Start in seconds.
        end: End in seconds.
        confidence: Confidence, 0 to 1.
        spaced: Whether the transcript has a space before it.
    """

    text: str
    start: float
    end: float
    confidence: float
    spaced: bool = True


def words_of(
    token: Sequence[str],
    times: Sequence[Tuple[float, float]],
    confidence: Sequence[float],
    token_type: str,
) -> List[Word]:
    """Group the tokens of a hypothesis into words.

    Args:
        token: Tokens of the hypothesis.
        times: Start and end of every token in seconds.
        confidence: Confidence of every token.
        token_type: ESPnet's option of that name. "bpe": a piece with
            sentencepiece's mark begins a word. "char": `<space>` stands between
            words. In both, scripts without spaces are divided as `segmentation`
            says, at the borders of tokens. With any other type every token is a word.

    Returns:
        Words in the order spoken. Their texts, with a space before those that are
        `spaced`, are the transcript, but for spaces at its ends and doubled ones.
    """
    return [
        Word(
            "".join(part.text for part in parts),
            times[parts[0].first][0],
            times[parts[-1].last - 1][1],
            min(confidence[parts[0].first : parts[-1].last]),
            parts[0].spaced,
        )
        for parts in _words(list(_parts(token, token_type)))
    ]


def join_words(words: Sequence[Word]) -> str:
    """Write words as they stand in the transcript."""
    return "".join(" " * (w.spaced and i > 0) + w.text for i, w in enumerate(words))


class _Part(NamedTuple):
    """A piece of text that tokens `first` to `last` (exclusive) stand for."""

    text: str
    first: int
    last: int
    spaced: bool


def _parts(token: Sequence[str], token_type: str) -> Iterator[_Part]:
    """Yield what cannot be divided, as it is written."""
    spaced, i = True, 0
    while i < len(token):
        text, last = token[i], i + 1
        if token_type == "char":
            if text == SPACE:
                spaced, text = True, ""
        elif token_type != "bpe":
            spaced = True
        elif text == UNKNOWN:
            yield _Part(WRITTEN_UNKNOWN, i, last, True)
            spaced, text = True, ""
        elif _BYTE.fullmatch(text):
            text, last = _character(token, i)
        else:
            spaced = spaced or text.startswith(WORD_BEGIN)
            after = text.endswith(WORD_BEGIN)
            text = text.replace(WORD_BEGIN, " ").strip(" ")
            if after and text:
                yield _Part(text, i, last, spaced)
                spaced, text = True, ""
        if text.isspace():
            spaced = True
        elif text:
            yield _Part(text, i, last, spaced)
            spaced = False
        i = last


def _character(token: Sequence[str], first: int) -> Tuple[str, int]:
    """Return the character that begins with a byte, and the token after its last.

    A byte that belongs to none is written as sentencepiece does, as U+FFFD.
    """
    content = b""
    for last in range(first, min(first + 4, len(token))):
        match = _BYTE.fullmatch(token[last])
        if match is None:
            break
        content += bytes.fromhex(match[1])
        try:
            return content.decode("utf-8"), last + 1
        except UnicodeDecodeError:
            continue
    return "\ufffd", first + 1


def _words(parts: Sequence[_Part]) -> Iterator[List[_Part]]:
    """Put the parts of each word together."""
    run: List[_Part] = []
    script = None
    for part in parts:
        other = unspaced_script(part.text)
        # A mark belongs to what is before it, in whatever script that is.
        if run and (part.spaced or (other != script and not is_mark(part.text[0]))):
            yield from _divided(run, script)
            run = []
        if not run:
            script = other
        run.append(part)
    if run:
        yield from _divided(run, script)


def _divided(run: List[_Part], script: str) -> Iterator[List[_Part]]:
    """Divide parts of one script without a space between them."""
    starts = word_starts("".join(p.text for p in run), script) if script else set()
    word: List[_Part] = []
    position = 0
    for part in run:
        if word and position in starts and not is_mark(part.text[0]):
            yield word
            word = []
        word.append(part)
        position += len(part.text)
    yield word
