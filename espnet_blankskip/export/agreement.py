"""What a lower precision costs: the same audio by two graphs of one folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.runtime import ExportedSpeech2Text

#: Worsening that is allowed: points of WER where transcripts are given, else percent
#: of tokens that become others.
MAX_WER_LOSS = 0.1
MAX_TOKEN_CHANGE = 1.0


@dataclass(frozen=True)
class Agreement:
    """How two precisions differ.

    Args:
        utterances: Utterances heard by both.
        failed: Utterances that could not be used.
        kept: Kept frames in percent, before and after.
        tokens: Tokens before.
        changed: Of these, in percent, how many became others, went or came.
        wer: Word error rate in percent, before and after; None without transcripts.
    """

    utterances: int
    failed: int
    kept: Tuple[float, float]
    tokens: int
    changed: float
    wer: Optional[Tuple[float, float]]

    @property
    def good(self) -> bool:
        """Return whether the loss is within what is allowed."""
        if self.wer is not None:
            return self.wer[1] - self.wer[0] <= MAX_WER_LOSS
        return self.changed <= MAX_TOKEN_CHANGE

    def __str__(self) -> str:
        text = f"{self.utterances} utterances, {self.tokens} tokens"
        if self.failed:
            text += f" ({self.failed} could not be used)"
        if self.wer is not None:
            text += f"; WER {self.wer[0]:.2f} % before, {self.wer[1]:.2f} % after"
        return (
            f"{text}; {self.changed:.2f} % of the tokens changed; kept frames "
            f"{self.kept[0]:.1f} % before, {self.kept[1]:.1f} % after"
        )


def compare_precisions(
    folder: Path,
    audio: Sequence[Tuple[str, Any]],
    references: Optional[Dict[str, str]] = None,
    before: Optional[Dict[str, str]] = None,
    after: Optional[Dict[str, str]] = None,
) -> Agreement:
    """Recognize the same audio by two precisions, or engines.

    Args:
        folder: What ``blankskip export`` wrote.
        audio: (id, path or samples) of each utterance.
        references: Transcripts by id; without them tokens are compared.
        before, after: ``engine`` and ``dtype`` of the two; float32 and int8.

    Raises:
        ValueError: No utterance can be used.
    """
    ways = (before or dict(dtype="float32"), after or dict(dtype="int8"))
    names, speeches = zip(*audio)
    results = []
    for way in ways:
        speech2text = ExportedSpeech2Text(folder, check_files=False, **way)
        results.append(speech2text.batch_decode(speeches, 1, names, on_error="return"))
    heard = [
        (name, *pair)
        for name, *pair in zip(names, *results)
        if not isinstance(pair[0], BadAudio)
    ]
    if not heard:
        raise ValueError(f"no utterance can be used: {results[0][0]}")
    tokens = sum(len(first.token_int) for _, first, _ in heard)
    changes = sum(distance(a.token_int, b.token_int) for _, a, b in heard)
    frames = sum(len(first.depth) for _, first, _ in heard)
    kept = [
        100 * sum(r[way].kept_frames for r in heard) / max(1, frames) for way in (1, 2)
    ]
    wer = None
    if references is not None:
        known = [r for r in heard if references.get(r[0], "").split()]
        words = sum(len(references[r[0]].split()) for r in known)
        errors = [
            sum(distance(references[r[0]].split(), r[way].text.split()) for r in known)
            for way in (1, 2)
        ]
        if not words:
            raise ValueError("no utterance has a transcript")
        wer = tuple(100 * e / words for e in errors)
    return Agreement(
        len(heard),
        len(names) - len(heard),
        tuple(kept),
        tokens,
        100 * changes / max(1, tokens),
        wer,
    )


def distance(one: Sequence, other: Sequence) -> int:
    """Levenshtein distance: substitutions, deletions and insertions."""
    vocabulary: Dict[Any, int] = {}
    a, b = (
        np.array([vocabulary.setdefault(x, len(vocabulary)) for x in part], int)
        for part in (one, other)
    )
    places = np.arange(len(b) + 1)
    row = places.copy()
    for i, symbol in enumerate(a, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (b != symbol))
        # insertions run along the row: the best of any start plus the way from it
        best = np.concatenate([[i], best]) - places
        row = np.minimum.accumulate(best) + places
    return int(row[-1])
