"""Where words begin in scripts that write no space between them.

Japanese, Chinese and Thai are divided into the phrases at which people break lines, by
BudouX's models. Of Lao, Khmer, Burmese and the like every syllable sign with its marks
stands for itself.
"""

import unicodedata
from functools import cache
from itertools import accumulate
from typing import Callable, List, Optional, Set

#: Beginnings of the Unicode names of such characters, by their script.
_NAMES = {
    "east asian": (
        "CJK UNIFIED",
        "CJK COMPATIBILITY",
        "IDEOGRAPHIC",
        "HIRAGANA",
        "KATAKANA",
    ),
    "thai": ("THAI",),
    "lao": ("LAO",),
    "khmer": ("KHMER",),
    "burmese": ("MYANMAR",),
    "javanese": ("JAVANESE",),
    "balinese": ("BALINESE",),
    "tai": ("TAI ", "NEW TAI"),
}
_KANA = ("HIRAGANA", "KATAKANA")
#: Signs that join the next consonant to theirs, and Lao's vowels written before theirs.
_JOINERS = "\u17d2\u1039\u1a60\u1b44\ua9c0"
_LEADING_VOWELS = "\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"


def unspaced_script(text: str) -> Optional[str]:
    """Return the script that a text begins in, if it has no spaces between words."""
    if not text:
        return None
    name = unicodedata.name(text[0], "")
    for script, beginnings in _NAMES.items():
        if name.startswith(beginnings):
            return script
    wide = unicodedata.east_asian_width(text[0]) in "WF"
    return "east asian" if wide and is_mark(text[0]) else None


def is_mark(character: str) -> bool:
    """Tell whether a character is punctuation or belongs to the one before it."""
    return unicodedata.category(character)[0] in "PM"


def word_starts(text: str, script: str) -> Set[int]:
    """Return the positions in a text at which a word begins, 0 among them.

    Args:
        text: Text without spaces.
        script: What `unspaced_script` says of it.
    """
    if script == "thai":
        parts = _parser("thai")(text)
    elif script != "east asian":
        return {i for i in range(len(text)) if _stands_for_itself(text, i)}
    elif any(unicodedata.name(c, "").startswith(_KANA) for c in text):
        parts = _parser("japanese")(text)
    else:
        parts = _parser("simplified_chinese")(text)
    return {0, *accumulate(map(len, parts))}


def _stands_for_itself(text: str, i: int) -> bool:
    before = text[i - 1] if i else ""
    if i == 0 or before in _JOINERS + _LEADING_VOWELS:
        return i == 0
    vowel = "VOWEL SIGN" in unicodedata.name(text[i], "")
    return text[i] in _LEADING_VOWELS or not (vowel or is_mark(text[i]))


@cache
def _parser(language: str) -> Callable[[str], List[str]]:
    import budoux

    return getattr(budoux, f"load_default_{language}_parser")().parse
