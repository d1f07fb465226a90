"""tokens.txt, from which other programs write out what they recognized."""

from argparse import Namespace
from typing import Any, Dict, List, Sequence

from espnet_blankskip.export.modules import CannotExport

#: SentencePiece's mark of a word's beginning, which sherpa-onnx reads as a space.
WORD_BEGIN = "▁"
BLANK = "<blk>"
TOKEN_TYPES = ("bpe", "char", "word", "phn")


def check_tokens(train_args: Namespace) -> None:
    """Refuse tokenizers that only ESPnet knows.

    Raises:
        CannotExport: naming it.
    """
    kind = getattr(train_args, "token_type", None)
    preprocessor = getattr(train_args, "preprocessor", None) or "default"
    if kind not in (*TOKEN_TYPES, None) or preprocessor != "default":
        name = f"token_type={kind}" if preprocessor == "default" else preprocessor
        raise CannotExport(
            f"{name} cannot be exported; token_type {', '.join(TOKEN_TYPES)} can"
        )


def token_lines(tokens: Sequence[str], tokenizer: Dict[str, Any]) -> List[str]:
    """Lines ``symbol id``, so that symbols written side by side are the text.

    Args:
        tokens: The model's tokens, blank first.
        tokenizer: ``token_type`` and ``preprocessor_conf`` of the training config.
    """
    conf = tokenizer.get("preprocessor_conf") or {}
    kind = tokenizer.get("token_type")
    space = conf.get("space_symbol", "<space>")
    symbols = [BLANK, *tokens[1:]]
    if kind == "char":
        # a line with an id alone is a space
        symbols = ["" if symbol == space else symbol for symbol in symbols]
    elif kind in ("word", None) and conf.get("delimiter") in (None, " "):
        symbols = [BLANK, *(WORD_BEGIN + symbol for symbol in symbols[1:])]
    return [f"{symbol} {number}".strip() for number, symbol in enumerate(symbols)]
