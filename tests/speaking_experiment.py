"""A small experiment whose model says something about real speech, and skips half."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_encoders import skip_share
from tiny_experiment import build_model, train_config

from espnet_blankskip.audio.log_mel import LogMel

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "samples"
SPEECH = [SAMPLES / f"61-70968-000{n}.flac" for n in range(3)]
needs_speech = pytest.mark.skipif(
    not SPEECH[0].is_file(), reason=f"needs real speech in {SAMPLES}"
)

FRONT_END = dict(fs="16k", n_fft=512, hop_length=160, n_mels=80)


def write_speaking_experiment(folder: Path, frontend_conf=None, **options):
    """Write `config.yaml` and `model.pth`; return the latter.

    The blank's bias is moved so that the gate lets half the frames of real speech go,
    and labels are left on some of the others.
    """
    config = train_config(frontend_conf=frontend_conf or FRONT_END, **options)
    model = next(m for m in map(partial(build_model, config), range(50)) if speaks(m))
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), folder / "model.pth")
    return folder / "model.pth"


@torch.no_grad()
def speaks(model) -> bool:
    """Move the bias of a model's blank; whether it then has something to say."""
    samples, rate = soundfile.read(SPEECH[0], dtype="float32")
    samples = samples[:: rate // model.frontend.logmel.mel_options["sr"]]
    feats, lens = model._extract_feats(
        torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    )
    if model.normalize is not None:
        feats, lens = model.normalize(feats, lens)
    mode = "dense"
    if model.encoder.gate_layers:
        mode = "skipping"
        skip_share(model.encoder, feats, lens, model.ctc, 0.5)
    encoded = model.encoder.encode_frames(feats, lens, model.ctc, mode)
    best = model.ctc.argmax(encoded.states)[encoded.kept]
    return len(best[best > 0].unique()) > 1


def global_mvn(folder: Path) -> dict:
    """Options of a model that is normalized by statistics of a training set."""
    log_mel = LogMel(16000, 512, 160, 512, "hann", True, 80, 0.0, 8000.0, False)
    heard = [log_mel(soundfile.read(path, dtype="float32")[0]) for path in SPEECH]
    feats = np.concatenate(heard)
    file = folder / "feats_stats.npz"
    sums = dict(sum=feats.sum(0), sum_square=(feats**2).sum(0))
    np.savez(file, count=float(len(feats)), **sums)
    return dict(normalize="global_mvn", normalize_conf=dict(stats_file=str(file)))


def read_json(path: Path):
    """Content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
