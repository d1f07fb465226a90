"""Words with times as subtitles: SubRip (SRT) and WebVTT."""

import unicodedata
from dataclasses import dataclass
from typing import List, Sequence

#: A cue ends at a pause this long, or when it would get longer than these.
MAX_PAUSE_SECONDS = 1.2
MAX_CUE_SECONDS = 6.0
MAX_CUE_LETTERS = 84  # two lines of 42, as broadcasters have it
MAX_LINE_LETTERS = 42  # a Chinese or Japanese character is as wide as two
#: What is over sooner cannot be read, so it stays if nothing else comes.
MIN_CUE_SECONDS = 1.0


@dataclass(frozen=True)
class Cue:
    """What is shown from `start` to `end`, in milliseconds."""

    start: int
    end: int
    text: str


def make_cues(words: Sequence) -> List[Cue]:
    """Divide words into cues.

    Args:
        words: Words with `text`, and `start` and `end` in seconds, in order. A word
            whose `spaced` is false follows the one before it without a space.

    Returns:
        Cues in order, none overlapping another, each of at least a millisecond.
    """
    groups: List[list] = []
    for word in words:
        if not groups or not _fits(groups[-1], word):
            groups.append([])
        groups[-1].append(word)
    cues: List[Cue] = []
    for number, group in enumerate(groups):
        # Times of neighbours may touch or cross.
        start = max(_milliseconds(group[0].start), cues[-1].end if cues else 0)
        readable = start + _milliseconds(MIN_CUE_SECONDS)
        if number + 1 < len(groups):
            readable = min(readable, _milliseconds(groups[number + 1][0].start))
        end = max(_milliseconds(group[-1].end), readable, start + 1)
        cues.append(Cue(start, end, _wrap(group)))
    return cues


def srt(words: Sequence) -> str:
    """Return the content of an ``.srt`` file."""
    return "".join(
        f"{number}\n{_stamp(cue.start, ',')} --> {_stamp(cue.end, ',')}\n{cue.text}\n\n"
        for number, cue in enumerate(make_cues(words), 1)
    )


def vtt(words: Sequence) -> str:
    """Return the content of a ``.vtt`` file."""
    return "WEBVTT\n\n" + "".join(
        f"{_stamp(cue.start, '.')} --> {_stamp(cue.end, '.')}\n{_escaped(cue.text)}\n\n"
        for cue in make_cues(words)
    )


def _fits(group: Sequence, word) -> bool:
    letters = sum(map(_width, group)) - _spaced(group[0]) + _width(word)
    return (
        word.start - group[-1].end < MAX_PAUSE_SECONDS
        and word.end - group[0].start <= MAX_CUE_SECONDS
        and letters <= MAX_CUE_LETTERS
    )


def _wrap(group: Sequence) -> str:
    """Write a cue's words on lines of readable length."""
    lines = [group[0].text]
    used = _width(group[0]) - _spaced(group[0])
    for word in group[1:]:
        used += _width(word)
        if used <= MAX_LINE_LETTERS:
            lines[-1] += " " * _spaced(word) + word.text
        else:
            lines.append(word.text)
            used = _width(word) - _spaced(word)
    return "\n".join(lines)


def _spaced(word) -> bool:
    return getattr(word, "spaced", True)


def _width(word) -> int:
    """Count the columns that a word takes, with the space before it."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in word.text)
    return len(word.text) + wide + _spaced(word)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _stamp(milliseconds: int, point: str) -> str:
    """Write HH:MM:SS and milliseconds."""
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _escaped(text: str) -> str:
    """Write what would be markup in WebVTT, such as ``<unk>``, as text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
