"""ESPnet's layout of decoding results: `1best_recog`, `2best_recog`, ..."""

import os
import shutil
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from espnet_blankskip.decoding.recognition import Hypothesis, Recognition

PARTIAL = ".partial"
HYPOTHESIS_FILES = ("text", "token", "token_int", "score")


def remove_hypothesis_folders(output_dir: Path) -> None:
    """Remove what an earlier run left, so that nothing old looks new."""
    for folder in Path(output_dir).glob("[0-9]*best_recog*"):
        shutil.rmtree(folder)


def write_hypothesis_folders(
    output_dir: Path,
    utt_ids: Sequence[str],
    results: Dict[str, Recognition],
    failed: Dict[str, str],
    nbest: int,
) -> None:
    """Write the folders; `1best_recog` appears last, so it tells that all is there.

    In `1best_recog` every utterance has a line in every file, and one that failed has
    an empty hypothesis. It also holds our files `depth` and `failed`. In the others,
    an utterance with fewer hypotheses has none, as in ESPnet.

    Args:
        output_dir: Where the folders go.
        utt_ids: Utterances in the order to write.
        results: Recognition by utterance id.
        failed: Reason by utterance id.
        nbest: Number of folders.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    names = [f"{rank}best_recog" for rank in range(1, nbest + 1)]
    for rank, name in enumerate(names):
        lines: Dict[str, List[str]] = {file: [] for file in HYPOTHESIS_FILES}
        for utt_id in utt_ids:
            found = results[utt_id].nbest if utt_id in results else ()
            if rank < len(found):
                cells = _hypothesis_cells(found[rank])
            elif rank == 0:
                cells = ("", "", "", "0.0")
            else:
                continue
            for file, cell in zip(HYPOTHESIS_FILES, cells):
                lines[file].append(f"{utt_id} {cell}")
        if rank == 0:
            lines["depth"] = [f"{u} {_depth_cell(results.get(u))}" for u in utt_ids]
            lines["failed"] = [f"{u} {reason}" for u, reason in failed.items()]
        folder = output_dir / f"{name}{PARTIAL}"
        folder.mkdir(parents=True)
        for file, content in lines.items():
            text = "".join(f"{line}\n" for line in content)
            (folder / file).write_text(text, encoding="utf-8")
    for name in reversed(names):
        os.replace(output_dir / f"{name}{PARTIAL}", output_dir / name)


def _hypothesis_cells(hypothesis: Hypothesis) -> Tuple[str, str, str, str]:
    return (
        hypothesis.text,
        " ".join(hypothesis.token),
        " ".join(map(str, hypothesis.token_int)),
        str(hypothesis.score),
    )


def _depth_cell(result) -> str:
    if result is None:
        return "0 0 0 0.0 0.0 0.0"
    return (
        f"{result.kept_frames} {len(result.depth)} {result.layers_run} "
        f"{result.encoder_seconds:.6f} {result.total_seconds:.6f} "
        f"{result.audio_seconds:.6f}"
    )
