"""Which audio to transcribe, and what each utterance is called."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import FrozenSet, Iterable, Iterator, List, Sequence, Tuple

from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.kaldi.utterances import Utterance

#: What libsndfile reads under these names.
AUDIO_SUFFIXES = frozenset(
    ".wav .flac .mp3 .ogg .oga .opus .aiff .aif .aifc .au .snd .sph .nist .w64 .rf64 "
    ".caf .wve".split()
)
#: Speech that it does not read: found in a folder, and named with the remedy when it
#: is opened. Whatever has another suffix in a folder is passed over.
FOREIGN_SUFFIXES = frozenset(
    ".m4a .m4b .mp4 .m4v .mov .aac .webm .weba .mkv .mka .wma .wmv .amr .3gp "
    ".3gpp".split()
)
STDIN = "-"


def list_utterances(
    inputs: Sequence[str], stdin: Iterable[str], spaces: bool = True
) -> List[Utterance]:
    """List what the command line asks for.

    Args:
        inputs: Audio files; folders, searched for audio with all that is below them
            (also for audio that cannot be read here, so that it is not passed over
            in silence); lists that end in ``.scp`` (``UTT_ID PATH`` lines); or "-".
        stdin: Lines that "-" stands for, one path each.
        spaces: Whether names may hold spaces; if not, each becomes "_".

    Returns:
        Utterances in the order of the inputs. Those of lists keep their ids. A file
        is named after its stem, within a folder by its path there; where that is
        another one's name, by its whole path with "-" for "/". A file that is listed
        twice comes once.

    Raises:
        ValueError: An input lists nothing, two utterances of lists share an id, or
            two files still share a name.
        OSError: A folder or list cannot be read.
    """
    found: List[Tuple[str, str, bool]] = []
    for given in inputs:
        listed = list(_from_input(given, stdin))
        if not listed:
            raise ValueError(f"{_shown(given)}: no audio in it")
        found += listed
    unique = list(dict.fromkeys(found))
    names = Counter(name for name, _, _ in unique)
    utterances = []
    for name, path, is_id in unique:
        if not is_id:
            name = name if names[name] == 1 else _long_name(path)
            # A name is one field of one line, whatever a file may be called.
            name = re.sub(r"[^\S ]" if spaces else r"\s", "_", printable(name))
        utterances.append(Utterance(name, path))
    _refuse_doubles(utterances)
    return utterances


def printable(path: str) -> str:
    """Write a path as text, also where its bytes are not UTF-8."""
    return path.encode("utf-8", "replace").decode("utf-8")


def _from_input(given: str, stdin: Iterable[str]) -> Iterator[Tuple[str, str, bool]]:
    """List names and paths of one input, and whether a name is an id to be kept."""
    path = Path(given)
    if given == STDIN:
        lines = (line.rstrip("\r\n").lstrip("\ufeff") for line in stdin)
        yield from ((Path(line).stem, line, False) for line in lines if line.strip())
    elif path.suffix == ".scp":
        yield from ((utt_id, file, True) for utt_id, file in read_table(path).items())
    elif path.is_dir():
        yield from ((name, file, False) for name, file in _below(path))
    else:
        # Whether it exists is found out when it is read, like all that can be wrong.
        yield path.stem, given, False


def _below(folder: Path) -> Iterator[Tuple[str, str]]:
    """List the audio of a folder and those below it, sorted.

    Raises:
        OSError: One of them cannot be read.
    """

    def refuse(error: OSError):
        raise error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(parent, name) for name in sorted(files) if name[0] != "."]
        read = {path.stem for path in paths if _has(path, AUDIO_SUFFIXES)}
        for path in paths:
            # a video beside its own sound is no second recording
            foreign = _has(path, FOREIGN_SUFFIXES) and path.stem not in read
            if foreign or _has(path, AUDIO_SUFFIXES):
                yield str(path.relative_to(folder).with_suffix("")), str(path)


def _has(path: Path, suffixes: FrozenSet[str]) -> bool:
    return path.suffix.lower() in suffixes


def _long_name(path: str) -> str:
    return "-".join(part for part in Path(path).parts if part not in ("/", ".", ".."))


def _refuse_doubles(utterances: Sequence[Utterance]) -> None:
    paths = {}
    for utterance in utterances:
        other = paths.setdefault(utterance.utt_id, utterance.path)
        if other != utterance.path:
            raise ValueError(
                f"{other} and {utterance.path} would both be called "
                f"'{utterance.utt_id}': give them ids in a wav.scp"
            )


def _shown(given: str) -> str:
    return "standard input" if given == STDIN else given
