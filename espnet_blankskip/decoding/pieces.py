"""The sentencepiece model of a training config."""

from pathlib import Path
from typing import Optional, Union

from espnet_blankskip.terminal import one_line


def load_pieces(bpemodel: Optional[Union[str, Path]]):
    """Return the ``SentencePieceProcessor`` of a model file.

    Raises:
        ValueError: There is none, or it cannot be read.
    """
    if bpemodel is None:
        raise ValueError("token_type=bpe needs bpemodel in the training config")
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor()
    try:
        pieces.load(str(bpemodel))
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"bpemodel={bpemodel} cannot be read: {one_line(error)}"
        ) from None
    return pieces
