"""Tokens to text, by the rules of the tokenizer that a model was trained with.

ESPnet's tokenizers know these rules, but importing them brings grapheme-to-phoneme
models that only training needs.
"""

from argparse import Namespace
from typing import Callable, Sequence

from espnet_blankskip.decoding.pieces import load_pieces

# their rules for tokens are those of the tokenizer alone
_PLAIN_PREPROCESSORS = (None, "default", "s2t_ctc")

TokenWriter = Callable[[Sequence[str]], str]


def token_writer(train_args: Namespace) -> TokenWriter:
    """Return the function that writes tokens out as text.

    Args:
        train_args: Values of the training config (``token_type``, ``bpemodel``, ...).

    Returns:
        A function from tokens to text.

    Raises:
        OSError, ValueError: The tokenizer's model cannot be read.
    """
    values = vars(train_args)
    token_type = values.get("token_type")
    conf = values.get("preprocessor_conf") or {}
    if not values.get("use_preprocessor", True) or token_type is None:
        return " ".join
    if values.get("preprocessor") not in _PLAIN_PREPROCESSORS:
        token_type = None  # somebody's own preprocessor has its own rules
    if token_type == "word":
        delimiter = conf.get("delimiter")
        return (" " if delimiter is None else delimiter).join
    if token_type == "char":
        space = conf.get("space_symbol", "<space>")
        return lambda tokens: "".join(" " if t == space else t for t in tokens)
    if token_type == "phn":
        return "".join  # as ESPnet does: the way back to words is not known
    if token_type == "bpe":
        pieces = load_pieces(values.get("bpemodel"))
        return lambda tokens: pieces.DecodePieces(list(tokens))
    return _espnet_writer(train_args)


def _espnet_writer(train_args: Namespace) -> TokenWriter:
    """Ask ESPnet's own preprocessor (Whisper, Hugging Face, ...); slow to import."""
    from espnet_blankskip.upstream import asr_task, s2t_ctc_task

    is_s2t = str(vars(train_args).get("preprocessor")).startswith("s2t")
    task = s2t_ctc_task() if is_s2t else asr_task()
    preprocess = task.build_preprocess_fn(train_args, False)
    tokenizer = getattr(preprocess, "tokenizer", None)
    return " ".join if tokenizer is None else tokenizer.tokens2text
