"""Transcripts that training or scoring cannot use as they are: told, never dropped."""

from pathlib import Path
from typing import Iterable, Optional, Set

import yaml

from espnet_blankskip.kaldi.lists import read_rows, read_table
from espnet_blankskip.terminal import log

#: Frames of features for one encoder frame, by the encoder's ``input_layer``.
SUBSAMPLING = {"conv2d1": 1, "conv2d2": 2, "conv2d": 4, "conv2d6": 6, "conv2d8": 8}
SUBSAMPLING.update(dw_conv2d=4, dw_conv2d8=8)
DEFAULT_HOP_LENGTH = 128


def tell_unknown_tokens(text: Path, token_type: str, tokens: Iterable[str]) -> None:
    """Say how many transcripts of a set have tokens that are not in the list.

    Args:
        text: Transcripts.
        token_type: ``char``, ``word`` or ``bpe``; BPE can spell what its pieces can.
        tokens: The token list.
    """
    known = set(tokens)
    rows = read_rows(text)
    unknown = [(u, unknown_token(words, token_type, known)) for u, words in rows]
    found = [(utt_id, token) for utt_id, token in unknown if token is not None]
    if found:
        utt_id, token = found[0]
        log(
            f"Stage 5: {len(found)} transcripts of {text} have unknown tokens, "
            f"which become <unk>; the first is {utt_id} with '{token}'"
        )


def unknown_token(transcript: str, token_type: str, tokens: Set[str]) -> Optional[str]:
    """The first unit of a transcript that a list does not have, or None.

    Args:
        transcript: Words.
        token_type: ``char``, ``word`` or ``bpe``; BPE can spell what its pieces can.
        tokens: The token list.
    """
    if token_type == "bpe":
        tokens = set("".join(tokens))
    units = transcript.split()
    if token_type != "word":
        units = list("".join(units))
    return next((unit for unit in units if unit not in tokens), None)


def tell_too_long_transcripts(stats: Path, token_type: str, config: Path) -> None:
    """Name utterances with more tokens than frames, which CTC cannot align.

    ESPnet's CTC counts them as zero loss (``zero_infinity``), so they teach nothing.

    Args:
        stats: Folder of one set's shapes, from stage 10.
        token_type: Ending of the file of text shapes.
        config: Training configuration, or None.
    """
    values = yaml.safe_load(config.read_text(encoding="utf-8")) if config else {}
    hop = (values.get("frontend_conf") or {}).get("hop_length", DEFAULT_HOP_LENGTH)
    input_layer = (values.get("encoder_conf") or {}).get("input_layer", "conv2d")
    per_frame = hop * SUBSAMPLING.get(input_layer, 1)
    samples = read_table(stats / "speech_shape")
    found = []
    for utt_id, shape in read_rows(stats / f"text_shape.{token_type}"):
        count = int(shape.split(",")[0])
        frames = int(samples[utt_id].split(",")[0]) // per_frame
        if count > frames:
            found.append(utt_id)
            log(f"Stage 10: {utt_id}: {count} tokens in only {frames} frames")
    if found:
        log(
            f"Stage 10: {len(found)} utterances of {stats} have transcripts longer "
            "than CTC can align; they add nothing to the CTC loss"
        )
