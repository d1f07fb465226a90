"""Small folders shaped like public corpora: their names, formats, transcripts."""

from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import numpy as np
import soundfile

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.kaldi.lists import read_optional_table, read_table
from espnet_blankskip.kaldi.utterances import list_utterances

RATE = 16000
LIBRISPEECH_PARTS = (
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
)
#: Of mini LibriSpeech, and of the other choice that makes the same sets.
MINI_PARTS = ("train-clean-5", "dev-clean-2", "test-clean")
OTHER_PARTS = ("train-clean-5", "dev", "test-clean-12")
ALL_PARTS = tuple(dict.fromkeys([*LIBRISPEECH_PARTS, *MINI_PARTS, *OTHER_PARTS]))


def write_noise(path: Path, seconds: float = 0.3, rate: int = RATE, **how) -> Path:
    """Write a file of quiet noise, another one for every name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = how.pop("channels", 1)
    rng = np.random.default_rng(list(path.stem.encode()))
    noise = 0.1 * rng.standard_normal((round(seconds * rate), channels))
    soundfile.write(path, noise.squeeze(), rate, **how)
    return path


def make_librispeech(
    folder: Path,
    parts: Sequence[str] = LIBRISPEECH_PARTS,
    speakers: Sequence[int] = (84, 1272),
    utterances: int = 2,
    suffix: str = "flac",
) -> Path:
    """``LibriSpeech/PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac``."""
    root = folder / "LibriSpeech"
    for part in parts:
        for speaker in speakers:
            # As in the corpus itself, no speaker is in two parts.
            reader = speaker + 10000 * ALL_PARTS.index(part)
            chapter = root / part / str(reader) / "121123"
            lines = []
            for number in range(utterances):
                utt_id = f"{reader}-121123-{number:04d}"
                write_noise(chapter / f"{utt_id}.{suffix}")
                lines.append(f"{utt_id} GO DO YOU HEAR\n")
            (chapter / f"{reader}-121123.trans.txt").write_text("".join(lines))
    (root / "SPEAKERS.TXT").write_text("; ID |SEX| SUBSET |MINUTES| NAME\n")
    (root / "LICENSE.TXT").write_text("CC BY 4.0\n")
    return root


def make_aishell(folder: Path, utterances: int = 3) -> Path:
    """``data_aishell/wav/SET/SPEAKER/UTTERANCE.wav`` and one file of transcripts."""
    root = folder / "data_aishell"
    lines = []
    for name, speakers in (("train", (2, 3)), ("dev", (724,)), ("test", (764,))):
        for speaker in speakers:
            for number in range(utterances):
                utt_id = f"BAC009S{speaker:04d}W{121 + number:04d}"
                path = root / "wav" / name / f"S{speaker:04d}" / f"{utt_id}.wav"
                write_noise(path)
                lines.append(f"{utt_id} 广州市 房地产 ｔ二\n")
    (root / "transcript").mkdir()
    transcripts = root / "transcript" / "aishell_transcript_v0.8.txt"
    transcripts.write_text("".join(lines), encoding="utf-8")
    return folder


def make_an4(folder: Path, train: int = 104, test: int = 3) -> Path:
    """``an4/etc`` and ``an4/wav``, NIST SPHERE files and Sphinx transcripts."""
    root = folder / "an4"
    (root / "etc").mkdir(parents=True)
    for part, count in (("train", train), ("test", test)):
        audio = {"train": "an4_clstk", "test": "an4test_clstk"}[part]
        lines = []
        for number in range(count):
            speaker = "abcd"[number % 4] * 4
            name = f"an{number:03d}-{speaker}-b"
            path = root / "wav" / audio / speaker / f"{name}.sph"
            write_noise(path, 0.1, format="NIST", subtype="PCM_16")
            words = "<s> YES </s>" if part == "train" else "YES"
            lines.append(f"{words} ({name})\n")
        (root / "etc" / f"an4_{part}.transcription").write_text("".join(lines))
    (root / "README").write_text("CMU AN4\n")
    return root


def make_yesno(folder: Path) -> Path:
    """``waves_yesno/x_x_x_x_x_x_x_x.wav``, whose names are the transcripts."""
    for number in range(60):
        name = "_".join(f"{number:08b}")
        write_noise(folder / "waves_yesno" / f"{name}.wav", 0.1, rate=8000)
    return folder / "waves_yesno"


def usable(
    folder: Path, fs: Optional[int] = None
) -> Tuple[List[str], List[Tuple[str, str]]]:
    """Utterances of a data folder that stages 3 and 4 would keep, and the others."""
    utterances, problems = list_utterances(folder)
    texts, good = read_table(folder / "text"), []
    lengths = read_optional_table(folder / "utt2num_samples")
    speakers = read_optional_table(folder / "utt2spk")
    for utterance in utterances:
        length = lengths.get(utterance.utt_id)
        try:
            _, rate = utterance.read_checked(int(length) if length else None)
            if not texts.pop(utterance.utt_id, "") or not speakers[utterance.utt_id]:
                raise BadAudio(utterance.utt_id, "has no transcript or no speaker")
            if fs not in (None, rate):
                raise BadAudio(utterance.utt_id, f"has {rate} Hz")
            good.append(utterance.utt_id)
        except BadAudio as problem:
            problems.append((utterance.utt_id, problem.reason))
    return good, problems + [(utt_id, "has no audio") for utt_id in texts]
