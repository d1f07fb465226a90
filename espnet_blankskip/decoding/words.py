"""Group tokens into words, each with its time and confidence.

A token's confidence is the posterior of its label at the frame of its run where that
is highest. A word is as sure as its least sure token (the minimum): one wrong token
makes a wrong word, and unlike the product a minimum does not fall with the length of
a word. Such posteriors order words by how sure they are; they lie nearer to 1 than the
share of words that are right. For other measures see Laptev and Ginsburg, SLT 2022,
arXiv 2212.08703.
"""

import unicodedata
from dataclasses import dataclass
from typing import Iterator, List, Sequence, Tuple

SPACE = "<space>"  # ESPnet's token for a space between characters
WORD_BEGIN = "\u2581"  # sentencepiece's mark for a space before a piece
# Unicode name prefixes of scripts that write no space between words.
_UNSPACED = ("CJK UNIFIED", "CJK COMPATIBILITY", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA")


@dataclass(frozen=True)
class Word:
    """One recognized word.

    Args:
        text: The word as written in the transcript.
        start: Start in seconds.
        end: End in seconds.
        confidence: Confidence, 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float


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
            words. In both, a Chinese or Japanese character (or a piece of them)
            is a word by itself. With any other type every token is a word.

    Returns:
        Words in the order spoken. Their texts, joined by spaces, are the transcript
        of a language that writes spaces.
    """
    words = []
    for first, last in _spans(token, token_type):
        text = "".join(token[first:last]).replace(WORD_BEGIN, "")
        if text and text != SPACE:
            words.append(
                Word(
                    text,
                    times[first][0],
                    times[last - 1][1],
                    min(confidence[first:last]),
                )
            )
    return words


def is_unspaced(text: str) -> bool:
    """Return whether a text begins in a script without spaces between words."""
    return bool(text) and unicodedata.name(text[0], "").startswith(_UNSPACED)


def _spans(token: Sequence[str], token_type: str) -> Iterator[Tuple[int, int]]:
    """Yield the first token of every word and the one after its last."""
    first = 0
    for i in range(1, len(token)):
        if _stand_apart(token[i - 1], token[i], token_type):
            yield first, i
            first = i
    if token:
        yield first, len(token)


def _stand_apart(left: str, right: str, token_type: str) -> bool:
    if token_type == "char":
        if SPACE in (left, right):
            return True
    elif token_type == "bpe":
        if right.startswith(WORD_BEGIN):
            return True
    else:
        return True
    # A mark alone belongs to the piece behind it.
    left = left.replace(WORD_BEGIN, "")
    return bool(left) and (is_unspaced(left) or is_unspaced(right))
