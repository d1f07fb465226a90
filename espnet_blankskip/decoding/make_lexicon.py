"""Spell a list of words with a model's tokens, for search with a lexicon.

    python -m espnet_blankskip.decoding.make_lexicon \
        --asr_train_config exp/asr_x/config.yaml words.txt > lexicon.txt

reads the first field of every line, so that a list of words, a word count and another
lexicon all will do. A word that the model's tokens cannot spell is left out, and
counted on standard error.
"""

import argparse
import sys
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Union

import yaml

from espnet_blankskip.decoding.segmentation import unspaced_script
from espnet_blankskip.decoding.words import SPACE
from espnet_blankskip.kaldi.lists import read_rows
from espnet_blankskip.terminal import one_line

Speller = Callable[[str], List[str]]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="make_lexicon", description="Spell words with a model's tokens"
    )
    parser.add_argument(
        "--asr_train_config", required=True, help="config.yaml of the experiment"
    )
    parser.add_argument("words", help="List of words, one per line")
    return parser


def main(cmd: Optional[Sequence[str]] = None) -> int:
    """Write the lexicon to standard output; 0 if at least one word was spelled."""
    args = get_parser().parse_args(cmd)
    try:
        config = read_token_config(args.asr_train_config)
        spell = speller(config)
        rows = read_rows(args.words)
    except (ValueError, OSError) as error:
        print(f"make_lexicon: {error}", file=sys.stderr)
        return 2
    tokens = set(config["token_list"])
    words = dict.fromkeys(word for word, _ in rows)
    spelled = 0
    for word in words:
        spelling = spell(word)
        if tokens.issuperset(spelling):
            print(word, " ".join(spelling), sep="\t")
            spelled += 1
    if spelled < len(words):
        print(
            f"make_lexicon: left out {len(words) - spelled} of {len(words)} words that "
            "the model's tokens cannot spell",
            file=sys.stderr,
        )
    return 0 if spelled else 1


def read_token_config(path: Union[str, Path]) -> dict:
    """Read what a training config says of tokens.

    Only the YAML: the package's own reader brings ESPnet, which prints on standard
    output, where the lexicon goes.

    Args:
        path: `config.yaml` that ESPnet wrote while training.

    Returns:
        The config.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no training config.
    """
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        config = None
    if not isinstance(config, dict) or not {"token_list", "token_type"} <= set(config):
        raise ValueError(
            f"--asr_train_config {path} has no token_list and token_type: is it the "
            "config.yaml that asr_train wrote into the experiment folder?"
        )
    return config


def speller(config: dict) -> Speller:
    """Return the function that spells a word within a sentence.

    Args:
        config: Training config.

    Returns:
        A function from a word to its tokens, with the token of the space before it
        where the model has one.

    Raises:
        ValueError: The token type has no spelling that depends on the word alone, or
            the sentencepiece model cannot be read.
    """
    token_type = config["token_type"]
    if token_type == "word":
        return lambda word: [word]
    if token_type == "char":
        spaced = SPACE in config["token_list"]
        return lambda word: (
            [SPACE] * (spaced and not unspaced_script(word)) + list(word)
        )
    if token_type == "bpe":
        return _piece_speller(config.get("bpemodel"))
    raise ValueError(
        f"token_type={token_type}: words can be spelled for word, char and bpe"
    )


def _piece_speller(bpemodel) -> Speller:
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor()
    try:
        pieces.load(str(bpemodel))
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"bpemodel={bpemodel} cannot be read: {one_line(error)}"
        ) from None
    return pieces.EncodeAsPieces


if __name__ == "__main__":
    sys.exit(main())
