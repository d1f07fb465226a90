"""The utterances that a calibration runs on."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.evaluation.measure import LoadedUtterance
from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.kaldi.recordings import read_recordings


@dataclass(frozen=True)
class SpeechSet:
    """Utterances in memory.

    Attributes:
        name: the wav.scp they came from.
        utterances: those that can be used; without transcripts they have no reference.
        has_text: whether there are transcripts.
        listed: utterances in the wav.scp.
        seconds: audio in all.
        failed: reason by id of those that were chosen and cannot be used.
    """

    name: str
    utterances: List[LoadedUtterance]
    has_text: bool
    listed: int
    seconds: float
    failed: Dict[str, str] = field(default_factory=dict)


def read_speech_set(
    wav_scp: str,
    text: Optional[str],
    sample_rate: int,
    min_samples: int,
    max_utterances: int = 0,
) -> SpeechSet:
    """Read utterances, and name those that cannot be used.

    Args:
        wav_scp: Kaldi-style list of audio files; relative paths are looked up here
            and beside the list.
        text: Kaldi-style transcripts, or None.
        sample_rate: of the model, in Hz.
        min_samples: fewest samples that the model can use.
        max_utterances: how many to take, evenly over the list, because lists are
            sorted by speaker; 0 takes all.

    Raises:
        OSError: a list cannot be read.
        ValueError: naming the option; nothing is left to measure on.
    """
    if max_utterances < 0:
        raise ValueError(f"--max-utterances {max_utterances} must be at least 0 (all)")
    paths = _read_list("--data", wav_scp)
    if not paths:
        raise ValueError(f"--data {wav_scp} lists no utterance")
    references: Dict[str, str] = {}
    failed: Dict[str, str] = {}
    usable = list(paths)
    if text is not None:
        references = _read_list("--text", text)
        usable = [utt_id for utt_id in paths if utt_id in references]
        if not usable:
            raise ValueError(
                f"--text {text} has none of the utterances of --data {wav_scp} "
                f"({_first(references)} against {_first(paths)})"
            )
        failed = {u: f"no transcript in {text}" for u in paths if u not in references}
    if 0 < max_utterances < len(usable):
        picks = np.linspace(0, len(usable) - 1, max_utterances).round().astype(int)
        usable = [usable[i] for i in picks]

    def fail(error: BadAudio) -> None:
        failed[error.utt_id] = error.reason

    chosen = {utt_id: paths[utt_id] for utt_id in usable}
    utterances = [
        LoadedUtterance(utt_id, samples, references.get(utt_id))
        for utt_id, samples in read_recordings(
            chosen, fail, sample_rate, min_samples, wav_scp
        )
    ]
    if not utterances:
        reason = next(iter(failed.values()))
        raise ValueError(
            f"--data {wav_scp}: none of {len(failed)} utterances can be used "
            f"(the first: {reason})"
        )
    if text is not None and not any(u.reference.split() for u in utterances):
        raise ValueError(f"--text {text} has no word in any of these utterances")
    seconds = sum(len(u.samples) for u in utterances) / sample_rate
    return SpeechSet(wav_scp, utterances, text is not None, len(paths), seconds, failed)


def _read_list(option: str, path: str) -> Dict[str, str]:
    if not Path(path).is_file():
        raise ValueError(f"{option}: no such file: {path}")
    return read_table(path)


def _first(ids: Dict[str, str]) -> str:
    return f"'{next(iter(ids))}'" if ids else "an empty list"
