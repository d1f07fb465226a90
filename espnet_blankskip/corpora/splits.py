"""From the splits of a corpus in lhotse to a training, a dev and a test set."""

import re
from collections import defaultdict
from difflib import get_close_matches
from typing import Dict, List, Sequence, Tuple
from zlib import crc32

import numpy as np

from espnet_blankskip.corpora.manifests import Split

#: Words that say what a split is for, the most telling first: ``train_dev`` is a dev
#: set. A word is a run of letters.
ROLES = {
    "valid": re.compile(r"dev\w*|val|valid|validation"),
    "test": re.compile(r"test\w*|tst|eval\w*"),
    "train": re.compile(r"train\w*"),
}
#: Held out of the training set for each set that the corpus lacks.
HELD_OUT_SHARE = 0.05
#: With fewer speakers, utterances are held out instead of speakers.
MIN_SPEAKERS = 10


def read_splits(result: object, name: str = "") -> Dict[str, Split]:
    """Every split in what a lhotse recipe returns.

    Args:
        result: ``{"recordings": ..., "supervisions": ...}``, a pair of the two, a
            ``CutSet``, ``{"cuts": ...}``, or such things by name, nested at will.
        name: Name of the result; the names within it follow after a slash.

    Returns:
        Splits by name, for example ``dev-clean`` or ``en/train``; parts without
        transcripts, such as noise, are left out.
    """
    from lhotse import CutSet, RecordingSet, SupervisionSet

    if isinstance(result, CutSet):
        recordings, supervisions, _ = result.decompose()
    elif isinstance(result, dict):
        if "cuts" in result:
            return read_splits(result["cuts"], name)
        if not {"recordings", "supervisions"} & set(result):
            parts = {}
            for key, value in result.items():
                parts.update(read_splits(value, f"{name}/{key}" if name else str(key)))
            return parts
        recordings, supervisions = result.get("recordings"), result.get("supervisions")
    elif isinstance(result, tuple) and len(result) == 2:
        recordings, supervisions = result
    else:
        return {}
    if not isinstance(recordings, RecordingSet):
        return {}
    if not isinstance(supervisions, SupervisionSet):
        return {}
    split = Split({r.id: r for r in recordings}, list(supervisions))
    return {name or "all": split} if split.supervisions else {}


def role_of(name: str) -> str:
    """``train``, ``valid`` or ``test`` by the words in a split's name, else empty."""
    words = re.findall(r"[a-z]+", name.lower())
    for role, pattern in ROLES.items():
        if any(pattern.fullmatch(word) for word in words):
            return role
    return ""


def assign(
    names: Sequence[str], chosen: Dict[str, Sequence[str]]
) -> Dict[str, List[str]]:
    """Which splits make which set.

    Args:
        names: All splits of the corpus.
        chosen: The user's choice by role; an empty one leaves it to the names. Where
            no name says "train", the splits whose name says nothing are for training.

    Returns:
        Names of splits by role; a role that nothing was found for has none.

    Raises:
        ValueError: If a chosen split does not exist or is chosen twice.
    """
    taken: Dict[str, str] = {}
    for role, wanted in chosen.items():
        for name in wanted:
            if name not in names:
                near = get_close_matches(name, names, n=3, cutoff=0.5) or names
                raise ValueError(
                    f"--{role}_splits {name}: the corpus has no such split; it has"
                    f" {', '.join(near)}"
                )
            if name in taken:
                raise ValueError(
                    f"--{role}_splits {name}: it is also in --{taken[name]}_splits"
                )
            taken[name] = role
    free = [name for name in names if name not in taken]
    roles = {role: list(chosen.get(role, ())) for role in ("train", "valid", "test")}
    for role, own in roles.items():
        if not own:
            own.extend(name for name in free if role_of(name) == role)
    if not roles["train"]:
        roles["train"].extend(name for name in free if not role_of(name))
    return roles


def hold_out(split: Split, seed: int, name: str) -> Tuple[Split, Split]:
    """Take a share of a split away, by speaker where there are enough of them.

    Args:
        split: What to take it from.
        seed: Same seed, same choice.
        name: Name of the set it is for; another name, another choice.

    Returns:
        What stays, and what was taken: :data:`HELD_OUT_SHARE` of the utterances or a
        little more.
    """
    groups = defaultdict(list)
    for supervision in split.supervisions:
        groups[supervision.speaker or supervision.id].append(supervision)
    if len(groups) < MIN_SPEAKERS:
        groups = {s.id: [s] for s in split.supervisions}
    rng = np.random.default_rng([seed, crc32(name.encode())])
    stays, taken = [], []
    for key in rng.permutation(sorted(groups)):
        short = len(taken) < HELD_OUT_SHARE * len(split.supervisions)
        (taken if short else stays).extend(groups[key])
    return Split(split.recordings, stays), Split(split.recordings, taken)
