"""A few unusable utterances are left out of a set and named; many are an error."""

from pathlib import Path
from typing import Dict, Set

from espnet_blankskip.corpora.data_folder import DataFolderWriter

#: More than both of these, and the corpus is not the one it should be.
FEW_UTTERANCES = 3
SMALL_SHARE = 0.05
SHOWN = 3


def report_dropped(folder: DataFolderWriter, not_counted: str = "") -> None:
    """Say which utterances of a corpus are not in a set; the set lists them all.

    Args:
        folder: The set with all its utterances.
        not_counted: A reason that is no fault of the corpus folder.

    Raises:
        ValueError: If the set is empty or lacks too much.
    """
    name, dropped = folder.path.name, folder.dropped
    if not dropped and folder.utterances:
        return
    named = [f"{utt_id}: {why}" for utt_id, why in dropped.items()]
    shown = "; ".join(named[:SHOWN]) + ("; ..." if len(named) > SHOWN else "")
    total = folder.utterances + len(dropped)
    summary = f"{name}: {len(dropped)} of {total} utterances cannot be used: {shown}"
    if not folder.utterances:
        raise ValueError(summary if dropped else f"{name}: there are no utterances")
    faults = sum(why != not_counted for why in dropped.values())
    if faults > max(FEW_UTTERANCES, SMALL_SHARE * total):
        raise ValueError(f"{summary} (at most {SMALL_SHARE:.0%} may be left out)")
    print(summary, flush=True)


def unpaired(folder: Path, listed: Set[str], recorded: Set[str]) -> Dict[str, str]:
    """Utterances that have a transcript or audio but not both, with the reason.

    Args:
        folder: Where they were looked for.
        listed: Ids that have a transcript.
        recorded: Ids that have audio.

    Raises:
        ValueError: If no utterance has both.
    """
    if not listed & recorded:
        raise ValueError(f"{folder}: no utterance has both audio and a transcript")
    return {
        **{utt_id: "has a transcript and no audio" for utt_id in listed - recorded},
        **{utt_id: "has audio and no transcript" for utt_id in recorded - listed},
    }
