"""ESPnet's layout of decoding results: `1best_recog`, `2best_recog`, ..."""

import os
import shutil
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from espnet_blankskip.kaldi.whole_file import write_whole

PARTIAL = ".partial"
HYPOTHESIS_FILES = ("text", "token", "token_int", "score")
_NO_HYPOTHESIS = {"text": "", "token": (), "token_int": (), "score": 0.0}


def write_hypothesis_folders(
    output_dir: Path,
    utt_ids: Sequence[str],
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    further: Mapping[str, Mapping[str, str]],
    nbest: int = 1,
) -> None:
    """Write the folders, in the place of all that an earlier run has left.

    In `1best_recog` every utterance has a line in every file, and one that failed has
    an empty hypothesis. In the others, an utterance with fewer hypotheses has none,
    as in ESPnet. The old folders stay until the new ones are whole, and `1best_recog`
    appears last, so it tells that all is there.

    Args:
        output_dir: Where the folders go.
        utt_ids: Utterances in the order to write.
        results: By utterance its hypotheses, best first: `text` and `score`, `token`
            and `token_int` (sequences).
        further: Files of ours for `1best_recog`, by name: value by utterance.
        nbest: Number of folders.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    for old in output_dir.glob(f"[0-9]*best_recog{PARTIAL}"):
        shutil.rmtree(old)
    names = [f"{rank}best_recog" for rank in range(1, nbest + 1)]
    for rank, name in enumerate(names):
        rows: Dict[str, Mapping[str, Any]] = {}
        for utt_id in utt_ids:
            found = results.get(utt_id, ())
            if rank < len(found):
                rows[utt_id] = found[rank]
            elif rank == 0:
                rows[utt_id] = _NO_HYPOTHESIS
        files: Dict[str, Mapping[str, str]] = {
            file: {utt_id: _cell(row[file]) for utt_id, row in rows.items()}
            for file in HYPOTHESIS_FILES
        }
        for file, column in {**files, **(further if rank == 0 else {})}.items():
            text = "".join(f"{utt_id} {value}\n" for utt_id, value in column.items())
            write_whole(output_dir / f"{name}{PARTIAL}" / file, text)
    for old in output_dir.glob("[0-9]*best_recog"):
        shutil.rmtree(old)
    for name in reversed(names):
        os.replace(output_dir / f"{name}{PARTIAL}", output_dir / name)


def _cell(value: Any) -> str:
    """Write a value as the rest of a line."""
    if isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    return " ".join(str(value).split("\n"))
