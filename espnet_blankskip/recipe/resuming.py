"""Work in parts that an interrupted or partly failed call has begun."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from espnet_blankskip.kaldi.lists import read_rows
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.markers import Facts, changed, write_marker
from espnet_blankskip.terminal import first_of, log


def keep_finished_parts(number: int, started: Path, facts: Facts) -> None:
    """Clear the folder of a work in parts, unless the same work was begun there.

    Args:
        number: Stage, for the log.
        started: Marker in that folder; the caller removes it when all is done.
        facts: What the work depends on, the split into parts included.
    """
    names = changed(started, facts)
    if names == []:
        return
    if names:
        folder, what = started.parent, ", ".join(names)
        log(f"Stage {number}: {folder} was begun with other {what}: beginning anew")
    shutil.rmtree(started.parent, ignore_errors=True)
    write_marker(started, facts)


def missing_parts(
    number: int, outputs: Dict[int, Path], complete: Callable[[int], bool]
) -> List[int]:
    """Return the parts still to be done, after removing what is there of them.

    Args:
        number: Stage, for the log.
        outputs: Folder of each part's result by job number.
        complete: Whether a part's result is there and whole.
    """
    missing = [part for part in outputs if not complete(part)]
    for part in missing:
        shutil.rmtree(outputs[part], ignore_errors=True)
    if len(missing) < len(outputs):
        rest = " ".join(map(str, missing)) or "none"
        done = len(outputs) - len(missing)
        log(f"Stage {number}: {done} of {len(outputs)} parts are there; to do: {rest}")
    return missing


def lists_the_same(found: Path, expected: Path) -> bool:
    """Whether two lists have the same utterances, each as often."""
    if not found.is_file():
        return False
    return Counter(ids(found)) == Counter(ids(expected))


def check_each_once(stage: str, found: Path, expected: Path) -> None:
    """Check that a merged list has every utterance exactly once.

    Raises:
        StageError: Names utterances that it lacks or has twice.
    """
    counts = Counter(ids(found))
    wanted = ids(expected)
    lost = [utt_id for utt_id in wanted if utt_id not in counts]
    doubled = [utt_id for utt_id, count in counts.items() if count > 1]
    strange = sorted(counts.keys() - set(wanted))
    for names, problem in (
        (lost, f"lacks utterances of {expected}"),
        (doubled, "has utterances more than once"),
        (strange, f"has utterances that {expected} has not"),
    ):
        if names:
            raise StageError(f"{stage}: {found} {problem}: {first_of(names)}")


def ids(path: Path) -> Sequence[str]:
    """Keys of a list in the order of the file."""
    return [utt_id for utt_id, _ in read_rows(path)]
