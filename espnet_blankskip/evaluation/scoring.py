"""Word and character error rates of a decoded set: stage 13 of the recipe.

Counting and alignment are jiwer's. The folders are ESPnet's (`score_wer`,
`score_cer`), each with a `result.txt`.
"""

import logging
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

import jiwer

from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.terminal import first_of

logger = logging.getLogger(__name__)


def score_texts(
    references: Sequence[str], hypotheses: Sequence[str], unit: str
) -> Tuple[dict, Union[jiwer.WordOutput, jiwer.CharacterOutput]]:
    """Count errors over a set.

    Args:
        references: True transcripts; an empty one makes every word an insertion.
        hypotheses: Recognized texts in the same order.
        unit: "wer" (words) or "cer" (characters, the space between words too, as
            ESPnet counts them).

    Returns:
        Counts (`percent`, `substitutions`, `deletions`, `insertions`, `correct`,
        `reference_length`, `utterances`, `wrong_utterances`), and jiwer's
        alignments. `percent` is NaN if there is no reference word at all but there
        are insertions.
    """
    process = {"wer": jiwer.process_words, "cer": jiwer.process_characters}[unit]
    # Spaces inside are normalized as word splitting would; "" stays "".
    references = [" ".join(text.split()) for text in references]
    hypotheses = [" ".join(text.split()) for text in hypotheses]
    output = process(references, hypotheses)
    length = output.hits + output.substitutions + output.deletions
    errors = output.substitutions + output.deletions + output.insertions
    if length:
        percent = 100.0 * errors / length
    else:
        percent = float("nan") if errors else 0.0
    counts = {
        "percent": percent,
        "substitutions": output.substitutions,
        "deletions": output.deletions,
        "insertions": output.insertions,
        "correct": output.hits,
        "reference_length": length,
        "utterances": len(references),
        "wrong_utterances": sum(r != h for r, h in zip(references, hypotheses)),
    }
    return counts, output


def score_folder(
    ref_text: Union[str, Path], hyp_text: Union[str, Path], out_dir: Union[str, Path]
) -> Dict[str, dict]:
    """Score one decoded set and write `score_wer` and `score_cer` into a folder.

    An utterance without hypothesis counts as deleted throughout.

    Args:
        ref_text: True transcripts, `dump/raw/<set>/text`.
        hyp_text: Recognized texts, `<out_dir>/text`.
        out_dir: Decoding folder of the set.

    Returns:
        {"wer": counts, "cer": counts} as in `score_texts`, with `missing` added:
        how many references had no hypothesis line.

    Raises:
        OSError: A file cannot be read.
        ValueError: There is no reference, or none of the references was decoded,
            which is a failed stage 12 and not a 100 % error rate.
    """
    references, hypotheses = read_table(ref_text), read_table(hyp_text)
    if not references:
        raise ValueError(f"{ref_text} holds no reference")
    missing = [utt_id for utt_id in references if utt_id not in hypotheses]
    if len(missing) == len(references):
        raise ValueError(
            f"{hyp_text} holds no hypothesis for any of the {len(references)} "
            f"utterances of {ref_text}: did decoding fail?"
        )
    if missing:
        logger.error(
            f"{len(missing)} of {len(references)} utterances have no hypothesis in "
            f"{hyp_text} and count as deleted: {first_of(missing)}"
        )
    surplus = [utt_id for utt_id in hypotheses if utt_id not in references]
    if surplus:
        logger.warning(
            f"{len(surplus)} hypotheses of {hyp_text} have no reference and are not "
            f"scored: {first_of(surplus)}"
        )
    utt_ids = list(references)
    scores = {}
    for unit in ("wer", "cer"):
        counts, output = score_texts(
            [references[u] for u in utt_ids],
            [hypotheses.get(u, "") for u in utt_ids],
            unit,
        )
        counts["missing"] = len(missing)
        folder = Path(out_dir) / f"score_{unit}"
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "result.txt.partial"
        partial.write_text(_result_text(unit, counts, output, utt_ids), "utf-8")
        partial.replace(folder / "result.txt")
        scores[unit] = counts
    return scores


def _result_text(unit: str, counts: dict, output, utt_ids: List[str]) -> str:
    """Return a readable report: the sums, then each utterance aligned."""
    things = {"wer": "words", "cer": "characters"}[unit]
    head = (
        f"{unit.upper()} {counts['percent']:.2f} %  "
        f"({counts['reference_length']} {things}: {counts['correct']} correct, "
        f"{counts['substitutions']} substituted, {counts['deletions']} deleted, "
        f"{counts['insertions']} inserted)\n"
        f"utterances: {counts['utterances']}, "
        f"with an error: {counts['wrong_utterances']}, "
        f"without a hypothesis: {counts['missing']}\n\n"
    )
    aligned = jiwer.visualize_alignment(output, show_measures=False, skip_correct=False)
    for number, utt_id in enumerate(utt_ids, 1):
        aligned = aligned.replace(f"=== SENTENCE {number} ===", f"=== {utt_id} ===", 1)
    lines = aligned.rstrip("\n").split("\n")
    return head + "".join(f"{line.rstrip()}\n" for line in lines)
