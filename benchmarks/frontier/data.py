"""Recordings and transcripts in one file, and features of them in another.

The first can be carried to a machine that has nothing; the second is what models are
trained on: log-mel features at three speeds, and the tokens of every vocabulary.
"""

import io
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
import sentencepiece
import soundfile
import torch
import torchaudio

from benchmarks.frontier.rows import BASE
from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.upstream import model_part

RATE = 16000
#: ESPnet's `speed_perturb_factors` of the usual recipe.
SPEEDS = (Fraction(9, 10), Fraction(1), Fraction(11, 10))


@dataclass
class FeatureSet:
    """Features of a set's utterances, one behind the other.

    Attributes:
        frames: log-mel features of all (N, 80), float16.
        starts: first frame of each utterance at each speed (len(speeds), U).
        lens: frames of each utterance at each speed (len(speeds), U).
        utt_ids, texts: of the utterances.
        tokens: token ids of each utterance by vocabulary size.
    """

    frames: torch.Tensor
    starts: torch.Tensor
    lens: torch.Tensor
    utt_ids: List[str]
    texts: List[str]
    tokens: Dict[int, List[List[int]]]


def pack(folders: Dict[str, Path], file: Path) -> None:
    """Put sets into one tar: recordings as they are, and each set's `text`.

    Args:
        folders: Kaldi-style data folder of each set.
        file: The tar to write.
    """
    with tarfile.open(file, "w") as tar:
        for name, folder in folders.items():
            tar.add(folder / "text", f"{name}/text")
            for utt_id, path in sorted(read_table(folder / "wav.scp").items()):
                tar.add(path, f"{name}/{utt_id}")


def prepare(
    file: Path, folder: Path, train: str, vocabularies: Sequence[int], device: str
) -> None:
    """Compute a tar's features, and train the subword models on its training set.

    Args:
        file: What `pack` wrote.
        folder: Where to write `SET.pt`, `bpeN.model` and `feats_stats.npz`.
        train: The training set; the others are computed at their own speed alone.
        vocabularies: Numbers of subwords.
        device: Where to compute features.

    Raises:
        ValueError: A recording has another sampling rate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file) as tar:
        members: Dict[str, Dict[str, bytes]] = {}
        for member in tar:
            name, utt_id = member.name.split("/")
            members.setdefault(name, {})[utt_id] = tar.extractfile(member).read()
    texts = {
        name: dict(
            line.split(" ", 1) for line in files.pop("text").decode().splitlines()
        )
        for name, files in members.items()
    }
    models = {
        size: _subwords(list(texts[train].values()), folder / f"bpe{size}", size)
        for size in vocabularies
    }
    frontend = model_part("frontend", "default")(**BASE["frontend_conf"]).to(device)
    for name, files in members.items():
        utt_ids = sorted(files)
        with ProcessPoolExecutor() as pool:
            waves = list(pool.map(_decode, [files[u] for u in utt_ids], chunksize=16))
        speeds = SPEEDS if name == train else (Fraction(1),)
        frames, lens = _features(waves, speeds, frontend, device)
        said = [texts[name][utt_id] for utt_id in utt_ids]
        if name == train:
            _write_statistics(frames.float(), folder / "feats_stats.npz")
        values = FeatureSet(
            frames,
            (lens.flatten().cumsum(0) - lens.flatten()).view_as(lens),
            lens,
            utt_ids,
            said,
            {
                size: _token_ids(model, token_list(folder, size), said)
                for size, model in models.items()
            },
        )
        torch.save(vars(values), folder / f"{name}.pt")


def load(file: Path) -> FeatureSet:
    """Read features, of which the operating system keeps one copy for all readers."""
    return FeatureSet(**torch.load(file, mmap=True, weights_only=True))


def token_list(folder: Path, size: int) -> List[str]:
    """ESPnet's `token_list` of a subword model."""
    model = sentencepiece.SentencePieceProcessor(str(folder / f"bpe{size}.model"))
    pieces = [model.id_to_piece(n) for n in range(len(model))]
    kept = [piece for piece in pieces if piece not in ("<unk>", "<s>", "</s>")]
    return ["<blank>", "<unk>", *kept, "<sos/eos>"]


def _decode(data: bytes) -> np.ndarray:
    """Samples (S,) of a recording."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    if rate != RATE:
        raise ValueError(f"recordings must have {RATE} Hz, not {rate}")
    return samples


@torch.inference_mode()
def _features(waves, speeds, frontend, device):
    """Frames of all utterances at all speeds (N, 80), and their numbers (speeds, U)."""
    frames, lens = [], []
    for speed in speeds:
        resample = torchaudio.transforms.Resample(speed.numerator, speed.denominator)
        resample = resample.to(device)
        for wave in waves:
            samples = resample(torch.from_numpy(wave).to(device)[None])
            length = torch.tensor([samples.size(1)], device=device)
            feats, length = frontend(samples, length)
            frames.append(feats[0].half().cpu())
            lens.append(int(length))
    return torch.cat(frames), torch.tensor(lens).view(len(speeds), len(waves))


def _write_statistics(frames: torch.Tensor, file: Path) -> None:
    """Mean and deviation as ESPnet's stage 10 writes them."""
    total = frames.double()
    np.savez(
        file,
        count=len(frames),
        sum=total.sum(0).numpy(),
        sum_square=total.square().sum(0).numpy(),
    )


def _subwords(texts, prefix: Path, size: int):
    """Train a subword model as the recipe's stage 5 does."""
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(texts),
        model_prefix=str(prefix),
        vocab_size=size,
        model_type="bpe",
        character_coverage=1.0,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(f"{prefix}.model")


def _token_ids(model, tokens: List[str], texts: Sequence[str]) -> List[List[int]]:
    """Places in ESPnet's token list of each text's pieces."""
    places = {piece: number for number, piece in enumerate(tokens)}
    unknown = places["<unk>"]
    return [
        [places.get(piece, unknown) for piece in model.encode(text, out_type=str)]
        for text in texts
    ]
