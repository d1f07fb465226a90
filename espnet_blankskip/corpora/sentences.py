"""A small grammar of spoken English: orders, questions, dates, numbers, stories.

A template is a line of words and ``{slots}``. A slot is a group of
:mod:`~espnet_blankskip.corpora.vocabulary` or one of the number forms below.
"""

import string
from typing import Callable, Dict, FrozenSet

import numpy as np

from espnet_blankskip.corpora.vocabulary import ORDINALS, TEENS, TENS, UNITS, WORDS

TEMPLATES = (
    "{given_name} {family_name}",
    "my name is {given_name} {family_name}",
    "please call {given_name} {family_name} at {phone}",
    "could i speak to {given_name} {family_name} please",
    "send a message to {given_name} and {given_name}",
    "{weekday} the {ordinal} of {month}",
    "{month} {ordinal} {year}",
    "we will meet on {weekday} {month} the {ordinal} at {time}",
    "{given_name} was born on {month} {ordinal} {year}",
    "wake me up at {time} on {weekday}",
    "set a timer for {small_number} {unit}",
    "remind me to buy {food} {food} and {drink} {adverb}",
    "turn on the {device} in the {room}",
    "switch off the {color} {device}",
    "dim the {device} in the {room} to {small_number} percent",
    "is the {device} in the {room} still on",
    "play some {genre} by {given_name} {family_name}",
    "add {small_number} {food} to the shopping list",
    "how much does the {adjective} {thing} cost",
    "that is {number} {currency} and {small_number} cents",
    "the {thing} weighs {number} {unit}",
    "the answer is {number}",
    "{phone}",
    "{number}",
    "the code is {phone}",
    "take the train from {city} to {city} at {time}",
    "a flight from {city} to {city} takes {small_number} hours",
    "how far is it from {city} to the {place} in {city}",
    "{city} is in {country}",
    "i have never been to {country} or {country}",
    "where is the nearest {place}",
    "turn left at the {place} and go {number} meters",
    "there will be {weather} and {weather} in {city} on {weekday}",
    "the {adjective} {animal} {intransitive} near the {place}",
    "a {color} {animal} and {small_number} {adjective} friends {intransitive} {adverb}",
    "the {person} {transitive} a {adjective} {thing}",
    "the {adjective} {person} {adverb} {transitive} the {thing}",
    "{given_name} {transitive} the {color} {thing} from the {person}",
    "my {person} {intransitive} because the {thing} was {adjective}",
    "who {transitive} my {adjective} {thing} {adverb}",
    "the {person} from {city} {intransitive} {adverb}",
    "would you like {food} with {food} or a cup of {drink}",
    "{given_name} likes {drink} but {given_name} prefers {drink}",
    "our {person} teaches {subject} and {subject}",
    "they play {sport} every {weekday} in {month}",
    "a {thing} made of {material} and {material}",
    "is it {adjective} or {adjective}",
    "the {animal} {transitive} the {animal}",
    "in {year} the {person} {transitive} {number} things",
    "chapter {small_number} page {number}",
)

_SLOTS = string.Formatter()


def spell_number(number: int) -> str:
    """Spell a whole number from 0 to 999,999.

    Raises:
        ValueError: If it is outside of that range.
    """
    if not 0 <= number < 1_000_000:
        raise ValueError(f"number={number} must lie in 0..999999")
    if number >= 1000:
        rest = f" {spell_number(number % 1000)}" if number % 1000 else ""
        return f"{spell_number(number // 1000)} thousand{rest}"
    if number >= 100:
        rest = f" and {spell_number(number % 100)}" if number % 100 else ""
        return f"{UNITS[number // 100]} hundred{rest}"
    if number >= 20:
        rest = f" {UNITS[number % 10]}" if number % 10 else ""
        return f"{TENS[number // 10 - 2]}{rest}"
    return UNITS[number] if number < 10 else TEENS[number - 10]


def spell_ordinal(day: int) -> str:
    """Spell the day of a month, 1 to 31."""
    if day < 20:
        return ORDINALS[day - 1]
    if day in (20, 30):
        return {20: "twentieth", 30: "thirtieth"}[day]
    return f"{TENS[day // 10 - 2]} {ORDINALS[day % 10 - 1]}"


def spell_year(year: int) -> str:
    """Spell a year from 1100 to 2099 in the way people say it."""
    century, rest = divmod(year, 100)
    if rest == 0:
        if century == 20:
            return "two thousand"
        return f"{spell_number(century)} hundred"
    if rest < 10:
        return f"{spell_number(century)} oh {UNITS[rest]}"
    return f"{spell_number(century)} {spell_number(rest)}"


def spell_time(hour: int, minute: int) -> str:
    """Spell a time of the day; ``hour`` is 1 to 12, ``minute`` 0 to 59."""
    spoken = spell_number(hour)
    if minute == 0:
        return f"{spoken} o'clock"
    if minute in (15, 30):
        return f"{'a quarter' if minute == 15 else 'half'} past {spoken}"
    if minute == 45:
        return f"a quarter to {spell_number(hour % 12 + 1)}"
    if minute < 10:
        return f"{spoken} oh {UNITS[minute]}"
    return f"{spoken} {spell_number(minute)}"


def _draw_number(rng: np.random.Generator) -> str:
    # Every order of magnitude is as likely as the others.
    return spell_number(int(rng.integers(10 ** int(rng.integers(1, 7)))))


def _draw_phone(rng: np.random.Generator) -> str:
    return " ".join(UNITS[digit] for digit in rng.integers(10, size=rng.integers(4, 8)))


def _draw_time(rng: np.random.Generator) -> str:
    time = spell_time(int(rng.integers(1, 13)), int(rng.integers(60)))
    daytime = ("", " in the morning", " in the afternoon", " in the evening")
    return time + daytime[rng.integers(len(daytime))]


NUMBER_FORMS: Dict[str, Callable[[np.random.Generator], str]] = {
    "number": _draw_number,
    "small_number": lambda rng: spell_number(int(rng.integers(2, 100))),
    "ordinal": lambda rng: spell_ordinal(int(rng.integers(1, 32))),
    "year": lambda rng: spell_year(int(rng.integers(1700, 2040))),
    "time": _draw_time,
    "phone": _draw_phone,
}


def draw_sentence(rng: np.random.Generator) -> str:
    """A random sentence in lower case, words separated by one space."""
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    parts = []
    for literal, slot, _, _ in _SLOTS.parse(template):
        parts.append(literal)
        if slot in NUMBER_FORMS:
            parts.append(NUMBER_FORMS[slot](rng))
        elif slot is not None:
            parts.append(WORDS[slot][rng.integers(len(WORDS[slot]))])
    return "".join(parts)


def vocabulary() -> FrozenSet[str]:
    """Every word that :func:`draw_sentence` can say."""
    words = {*UNITS, *TEENS, *TENS, *ORDINALS, "twentieth", "thirtieth"}
    words.update("hundred thousand and oh o'clock a quarter half past to".split())
    words.update("in the morning afternoon evening".split())
    for template in TEMPLATES:
        for literal, slot, _, _ in _SLOTS.parse(template):
            words.update(literal.split())
            if slot in WORDS:
                words.update(WORDS[slot])
    return frozenset(words)
