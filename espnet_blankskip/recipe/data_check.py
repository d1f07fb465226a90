"""Own data, looked at before anything is made of it: ``run.sh --corpus own``, stage 1.

A set is a folder ``data/SET`` with Kaldi-style lists: ``wav.scp`` and ``text``, and
where the user has them ``segments`` and ``utt2spk``. Nothing of it is changed, but
that ESPnet's scripts get the lists of speakers that they need.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set

from tqdm import tqdm

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.sound import open_sound
from espnet_blankskip.kaldi.lists import read_lines, read_table, write_rows
from espnet_blankskip.kaldi.utterances import list_utterances
from espnet_blankskip.recipe.layout import DATA
from espnet_blankskip.recipe.option_list import sampling_rate, true_or_false, words
from espnet_blankskip.recipe.transcript_checks import unknown_token

SHOWN = 3
#: asr.sh in the current folder: ESPnet's scripts do the work, and drop nothing.
TREE = Path("asr.sh")


@dataclass
class CheckedSet:
    """What is in a set.

    Attributes:
        usable: Utterances with audio that opens and a transcript.
        unusable: Reason by utterance of the others.
        rates: How many audio files have each sampling rate in Hz.
        foreign: A token outside of the given list by utterance.
    """

    usable: List[str] = field(default_factory=list)
    unusable: Dict[str, str] = field(default_factory=dict)
    rates: Counter = field(default_factory=Counter)
    foreign: Dict[str, str] = field(default_factory=dict)


def check_set(
    folder: Path, token_type: str = "", tokens: Optional[Set[str]] = None
) -> CheckedSet:
    """Look at every utterance of a set; of audio, only how it begins.

    Args:
        folder: The set.
        token_type: ``char``, ``word`` or ``bpe``.
        tokens: What transcripts must be made of; None allows anything.

    Raises:
        ValueError: A list is missing, cannot be read or has an id twice, or no
            utterance can be used; in one line.
    """
    for name in ("wav.scp", "text"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}/{name} is missing")
    utterances, problems = list_utterances(folder)
    texts = read_table(folder / "text")
    found = CheckedSet(unusable=dict(problems))
    faults: Dict[str, Optional[str]] = {}  # by file; one has several utterances
    for utterance in tqdm(utterances, desc=f"checking {folder}", leave=False):
        utt_id, path = utterance.utt_id, utterance.path
        if path not in faults:
            faults[path] = look_at(utt_id, path, found)
        text = texts.get(utt_id)
        reason = "has no transcript" if text is None else faults[path]
        if text == "":
            reason = "its transcript is empty"
        if reason:
            found.unusable[utt_id] = reason
            continue
        found.usable.append(utt_id)
        token = unknown_token(text, token_type, tokens) if tokens else None
        if token is not None:
            found.foreign[utt_id] = token
    for utt_id in texts.keys() - found.unusable.keys() - set(found.usable):
        found.unusable[utt_id] = "has a transcript and no audio"
    if not found.usable:
        first = next(iter(found.unusable.items()), ("wav.scp", "it is empty"))
        raise ValueError(f"{folder}: no utterance can be used ({': '.join(first)})")
    return found


def look_at(utt_id: str, path: str, found: CheckedSet) -> Optional[str]:
    """Count a file's rate; return why it cannot be used, or None."""
    if path.endswith("|") and TREE.is_file():
        return None  # a command, which asr.sh runs
    try:
        with open_sound(path, utt_id) as sound:
            found.rates[sound.rate] += 1
    except BadAudio as error:
        return error.reason
    return None


def summary(folder: Path, found: CheckedSet, fs: int) -> List[str]:
    """Lines for the user about a set."""
    rates = ", ".join(f"{n} at {rate} Hz" for rate, n in found.rates.most_common())
    files = f" ({rates})" if rates else ""
    lines = [f"{folder}: {len(found.usable)} utterances{files}"]
    if set(found.rates) - {fs}:
        lines.append(f"{folder}: stage 3 resamples to {fs} Hz (--fs)")
    if found.foreign:
        lines.append(
            f"{folder}: {len(found.foreign)} transcripts have tokens that are not in"
            f" --token_list: {shortened(found.foreign)}"
        )
    if found.unusable:
        lines.append(
            f"{folder}: {len(found.unusable)} utterances cannot be used:"
            f" {shortened(found.unusable)}"
        )
    return lines


def shortened(named: Dict[str, str]) -> str:
    """The first entries of a list of faults."""
    shown = [f"{key}: {value}" for key, value in list(named.items())[:SHOWN]]
    return "; ".join(shown) + ("; ..." if len(named) > SHOWN else "")


def name_speakers(folder: Path) -> None:
    """Make every utterance its own speaker where nobody says who speaks."""
    if not (folder / "utt2spk").is_file():
        utt_ids = read_table(folder / "text")
        for name in ("utt2spk", "spk2utt"):
            write_rows(folder / name, [(utt_id, utt_id) for utt_id in utt_ids])


def get_parser() -> argparse.ArgumentParser:
    """Options; run.sh gives all but the token list."""
    parser = argparse.ArgumentParser(
        prog="local/data.sh --corpus own", allow_abbrev=False
    )
    add = parser.add_argument
    for name in ("--train_set", "--valid_set"):
        add(name, required=True, help="folder in data/")
    add("--test_sets", nargs="+", required=True, help="folders in data/")
    add("--fs", type=sampling_rate, default=16000, help="rate of the model: 8k, 16k")
    add(
        "--thin_test_sets",
        type=true_or_false,
        default=False,
        help="leave out what cannot be used of a test set, instead of stopping",
    )
    add("--token_type", choices=["bpe", "char", "word"], default="bpe", help="unit")
    add("--token_list", type=Path, help="tokens that transcripts must be made of")
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Check all sets; 1 with one line of each fault if any cannot be gone on with."""
    args = get_parser().parse_args(arguments)
    tests = words(" ".join(args.test_sets))
    errors = []
    tokens = None
    try:
        if args.token_list is not None:
            tokens = set(read_lines(args.token_list))
    except (ValueError, OSError) as error:
        errors.append(f"--token_list: {error}")
    for name in dict.fromkeys([args.train_set, args.valid_set, *tests]):
        folder = DATA / name
        try:
            found = check_set(folder, args.token_type, tokens)
        except (ValueError, OSError) as error:
            errors.append(str(error))
            continue
        print("\n".join(summary(folder, found, args.fs)), flush=True)
        only_test = name not in (args.train_set, args.valid_set)
        if found.unusable and TREE.is_file():
            errors.append(f"{folder}: asr.sh drops no utterances: put these right")
        elif found.unusable and only_test and not args.thin_test_sets:
            errors.append(
                f"{folder}: a test set must be whole: put these right, or leave them"
                " out of every result by --thin_test_sets true"
            )
        elif TREE.is_file():
            name_speakers(folder)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
