"""Which utterances of a data folder later stages can use."""

from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from espnet_blankskip.audio.reading import BadAudio, read_mono
from espnet_blankskip.corpora.data_folder import read_table


def audio_problem(
    path: str, fs: Optional[int], samples: Optional[int]
) -> Optional[str]:
    """What is wrong with one audio file, or None if nothing is.

    Args:
        path: Audio file in any format that libsndfile reads.
        fs: Sampling rate in Hz it must have; None accepts any.
        samples: Length it had when it was written; None if unknown.
    """
    try:
        audio, _ = read_mono(path, utt_id="", sample_rate=fs)
    except BadAudio as problem:
        return problem.reason
    if samples is not None and len(audio) < samples:
        return f"audio file is truncated: {len(audio)} of {samples} samples"
    return None


def check_data_folder(
    path: Path, fs: Optional[int] = None
) -> Tuple[List[str], List[Tuple[str, str]]]:
    """Find the utterances of a data folder that later stages can use.

    Args:
        path: Folder with ``wav.scp``, ``text`` and, if present, ``utt2spk`` and
            ``utt2num_samples``.
        fs: Sampling rate in Hz that every file must have; None accepts any.

    Returns:
        Ids of the good utterances in the order of ``wav.scp``, and ``(id, reason)``
        of everything that is wrong. An id out of order is reported and still good,
        because writing the list anew sorts it.

    Raises:
        FileNotFoundError: If ``wav.scp`` or ``text`` is missing.
    """
    path = Path(path)
    for name in ("wav.scp", "text"):
        if not (path / name).is_file():
            raise FileNotFoundError(f"data folder {path}: {name} is missing")
    wavs = read_table(path / "wav.scp")
    texts = dict(read_table(path / "text"))
    speakers = optional_table(path / "utt2spk")
    lengths = optional_table(path / "utt2num_samples")
    counts = Counter(utt_id for utt_id, _ in wavs)
    good: List[str] = []
    problems: List[Tuple[str, str]] = []
    previous = ""
    for utt_id, wav in wavs:
        if counts[utt_id] > 1:
            if utt_id != previous:
                problems.append((utt_id, f"id is {counts[utt_id]} times in wav.scp"))
            previous = utt_id
            continue
        if utt_id < previous:
            problems.append((utt_id, f"id is not sorted: it comes after {previous}"))
        previous = max(utt_id, previous)
        if not texts.get(utt_id):
            reason = "transcript is empty" if utt_id in texts else "has no transcript"
        elif speakers is not None and not speakers.get(utt_id):
            reason = "has no speaker in utt2spk"
        else:
            samples = (lengths or {}).get(utt_id)
            expected = int(samples) if samples else None
            reason = audio_problem(wav, fs, expected)
        if reason is None:
            good.append(utt_id)
        else:
            problems.append((utt_id, reason))
    for utt_id in sorted(set(texts) - set(counts)):
        problems.append((utt_id, "has a transcript and no wav file"))
    return good, problems


def optional_table(path: Path) -> Optional[Dict[str, str]]:
    """A Kaldi-style list as a dict, or None where the file is not there."""
    return dict(read_table(path)) if path.is_file() else None
