"""Utterances of a Kaldi-style data folder, with or without ``segments``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from espnet_blankskip.audio.reading import BadAudio, read_mono
from espnet_blankskip.kaldi.lists import read_optional_table, read_table, write_rows

#: ``(utterance, what is wrong with it)``
Problem = Tuple[str, str]
DROPPED = "dropped"


@dataclass(frozen=True)
class Utterance:
    """An utterance on disk.

    Args:
        utt_id: Its id.
        path: Audio file, or what the user or wav.scp has in its place.
        start: First second in the file, None for the whole file.
        end: Last second in the file; negative is the end of the file.
    """

    utt_id: str
    path: str
    start: Optional[float] = None
    end: float = -1.0

    def read_checked(
        self, samples: Optional[int] = None, mix: bool = False
    ) -> Tuple[np.ndarray, int]:
        """Read the audio.

        Args:
            samples: Length it should have; None if unknown.
            mix: Average several channels instead of refusing them.

        Returns:
            Samples (S,) float32, all finite, and the rate in Hz.

        Raises:
            BadAudio: It cannot be read whole, or training had better not use it.
        """
        audio, rate = read_mono(self.path, self.utt_id, mix=mix)
        if samples is not None and len(audio) < samples:
            raise BadAudio(
                self.utt_id, f"is truncated: {len(audio)} of {samples} samples"
            )
        if self.start is not None:
            last = len(audio) if self.end < 0 else round(self.end * rate)
            audio = audio[round(self.start * rate) : last]
            if len(audio) == 0:
                raise BadAudio(self.utt_id, "its segment has no samples")
        return audio, rate


def list_utterances(folder: Path) -> Tuple[List[Utterance], List[Problem]]:
    """Utterances of a folder in sorted order, and those that cannot be located.

    Raises:
        ListError: A list cannot be read, or has an id twice.
    """
    problems: List[Problem] = []
    recordings = read_table(folder / "wav.scp")
    if not (folder / "segments").is_file():
        found = [Utterance(utt, path) for utt, path in recordings.items()]
    else:
        found = []
        for utt_id, row in read_table(folder / "segments").items():
            try:
                recording, start, end = row.split()
                found.append(
                    Utterance(utt_id, recordings[recording], float(start), float(end))
                )
            except ValueError:
                problems.append((utt_id, f"segments line is not understood: {row}"))
            except KeyError as error:
                problems.append((utt_id, f"recording {error} is not in wav.scp"))
    return sorted(found, key=lambda utterance: utterance.utt_id), problems


def write_lists(
    folder: Path,
    kept: Dict[str, Tuple[str, int]],
    source: Path,
    empty_texts: bool = False,
) -> List[Problem]:
    """Write wav.scp, text, utt2spk, spk2utt and utt2num_samples.

    Args:
        folder: Where to write.
        kept: Audio path and number of samples by utterance.
        source: Folder with the transcripts and speakers.
        empty_texts: Keep utterances in which nothing is said, according to the text.

    Returns:
        Utterances of either side that the other lacks; they are left out.
    """
    texts = read_table(source / "text")
    speakers = read_optional_table(source / "utt2spk")
    problems = [(utt_id, "has no transcript") for utt_id in kept if utt_id not in texts]
    good = [utt_id for utt_id in kept if utt_id in texts]
    if not empty_texts:
        problems += [(u, "transcript is empty") for u in good if not texts[u]]
        good = [utt_id for utt_id in good if texts[utt_id]]
    spk2utt: Dict[str, List[str]] = {}
    for utt_id in good:
        spk2utt.setdefault(speakers.get(utt_id) or utt_id, []).append(utt_id)
    by_utterance = {u: speaker for speaker, utts in spk2utt.items() for u in utts}
    write_rows(folder / "wav.scp", [(u, kept[u][0]) for u in good])
    write_rows(folder / "utt2num_samples", [(u, str(kept[u][1])) for u in good])
    write_rows(folder / "text", [(u, texts[u]) for u in good])
    write_rows(folder / "utt2spk", by_utterance.items())
    spk_rows = [(speaker, " ".join(sorted(u))) for speaker, u in spk2utt.items()]
    write_rows(folder / "spk2utt", spk_rows)
    return problems
