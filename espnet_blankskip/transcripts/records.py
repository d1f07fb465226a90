"""What is written about one utterance, as plain values."""

from dataclasses import dataclass
from typing import Any, Dict, List

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.transcripts.inputs import printable


@dataclass(frozen=True)
class Outcome:
    """What became of one utterance.

    Args:
        utterance: The utterance.
        record: What was recognized (see `make_record`); {} if it failed.
        reason: Why it failed, in one line; "" if it did not.
    """

    utterance: Utterance
    record: Dict[str, Any]
    reason: str = ""


def make_record(utterance: Utterance, result) -> Dict[str, Any]:
    """Turn a recognition into the values of one JSON line.

    Args:
        utterance: The utterance.
        result: Its ``Recognition``.

    Returns:
        ``id``, ``path``, ``seconds`` of audio, ``kept`` share of frames that ran
        through every layer, and of the best hypothesis ``text``, ``score``
        (log-probability), ``token``, ``token_int`` and ``words`` (with ``start`` and
        ``end`` in seconds, ``confidence`` from 0 to 1, and ``spaced`` false where no
        space stands before a word). More hypotheses than one
        are listed under ``nbest``, and what looks wrong with the audio under
        ``warnings``.
    """
    record = {
        "id": utterance.utt_id,
        "path": printable(utterance.path),
        "seconds": round(result.audio_seconds, 3),
        "kept": round(result.kept_ratio, 4),
        **_hypothesis(result),
    }
    if result.warnings:
        record["warnings"] = list(result.warnings)
    if len(result.nbest) > 1:
        record["nbest"] = [_hypothesis(other) for other in result.nbest]
    return record


def hypotheses(record: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return all hypotheses of a record, best first."""
    return record.get("nbest") or [record]


def _hypothesis(found) -> Dict[str, Any]:
    return {
        "text": found.text,
        "score": round(float(found.score), 4),
        "words": [
            {
                "text": word.text,
                "start": round(float(word.start), 3),
                "end": round(float(word.end), 3),
                "confidence": round(float(word.confidence), 4),
                **({} if word.spaced else {"spaced": False}),
            }
            for word in found.words
        ],
        "token": list(found.token),
        "token_int": [int(i) for i in found.token_int],
    }
