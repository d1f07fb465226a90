"""Features of a batch that are the same as each utterance's own."""

from typing import Tuple

import torch
from torch.nn.utils.rnn import pad_sequence


def extract_features(
    model: torch.nn.Module, speech: torch.Tensor, lens: torch.Tensor
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Run front-end and normalization without letting padding in.

    ESPnet's centred STFT reflects the signal at the end of the *batch*; a shorter
    utterance sees zeros there instead, which changes its last frames. So the
    front-end, a small part of the work, takes one utterance at a time.

    Args:
        model: ESPnet ASR model.
        speech: Samples (B, S), padded.
        lens: Samples of each utterance (B,).

    Returns:
        Features (B, T_in, F) and their lengths (B,).
    """
    rows, row_lens = [], []
    for samples, length in zip(speech, lens):
        feats, feats_lens = model._extract_feats(samples[None, :length], length[None])
        rows.append(feats[0])
        row_lens.append(feats_lens)
    feats, feats_lens = pad_sequence(rows, batch_first=True), torch.cat(row_lens)
    if model.normalize is not None:
        feats, feats_lens = model.normalize(feats, feats_lens)
    if getattr(model, "preencoder", None) is not None:  # the S2T task has none
        feats, feats_lens = model.preencoder(feats, feats_lens)
    return feats, feats_lens
