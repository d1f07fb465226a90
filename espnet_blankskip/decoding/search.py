"""Choose the search that decoding options ask for."""

import math
import sys
from pathlib import Path
from typing import Sequence, Union

from espnet_blankskip.decoding.greedy import GreedySearch
from espnet_blankskip.decoding.hypothesis import CTCSearch
from espnet_blankskip.decoding.lexicon import read_lexicon


def build_search(
    token_list: Sequence[str],
    beam: int = 1,
    nbest: int = 1,
    lm: Union[str, Path, None] = None,
    lexicon: Union[str, Path, None] = None,
    lm_weight: float = 0.5,
    word_score: float = 0.0,
) -> CTCSearch:
    """Build a search from decoding options.

    Args:
        token_list: The model's tokens.
        beam: Hypotheses kept per frame; 1 without `lm` and `lexicon` is greedy.
        nbest: Hypotheses to return, at most `beam`.
        lm: n-gram file, ARPA or KenLM binary: over the words of the lexicon if there
            is one, else over the model's tokens.
        lexicon: Lexicon file (see `lexicon`).
        lm_weight: Weight of the n-gram's natural log-probability.
        word_score: Added for every word; needs a lexicon.

    Returns:
        The search.

    Raises:
        FileNotFoundError, OSError: A file is missing or cannot be read.
        ValueError: An option is out of its range or a file is not what it should be;
            or a package is missing.
    """
    if beam < 1:
        raise ValueError(f"beam_size={beam} must be at least 1")
    if not 1 <= nbest <= beam:
        raise ValueError(f"nbest={nbest} must lie in 1..{beam} for beam_size={beam}")
    if not (math.isfinite(lm_weight) and lm_weight >= 0):
        raise ValueError(f"lm_weight={lm_weight} must be at least 0 and finite")
    if not math.isfinite(word_score):
        raise ValueError(f"word_score={word_score} must be finite")
    if word_score and lexicon is None:
        raise ValueError(f"word_score={word_score} needs a lexicon")
    if beam == 1 and lm is None and lexicon is None:
        return GreedySearch()
    return _build_beam_search(
        token_list, beam, nbest, lm, lexicon, lm_weight, word_score
    )


def _build_beam_search(
    token_list: Sequence[str],
    beam: int,
    nbest: int,
    lm: Union[str, Path, None],
    lexicon: Union[str, Path, None],
    lm_weight: float,
    word_score: float,
) -> CTCSearch:
    try:
        from espnet_blankskip.decoding.beam import LanguageModelSearch, PrefixBeamSearch
    except ImportError as error:
        remedy = "pip install 'espnet_blankskip[search]'"
        if sys.version_info >= (3, 13):
            remedy = "it does not build on Python 3.13; use 3.12"
        raise ValueError(
            f"beam search, lm_file and lexicon need {missing_package(error)}: {remedy}"
        ) from None
    if lm is None and lexicon is None:
        return PrefixBeamSearch(beam, nbest, token_list)
    words = None if lexicon is None else read_lexicon(lexicon, token_list)
    return LanguageModelSearch(
        token_list, beam, nbest, lm, words, lm_weight, word_score
    )


def missing_package(error: ImportError) -> str:
    """Return the name of the package that an import did not find."""
    module = (error.name or "").split(".")[0]
    return {"flashlight": "flashlight-text"}.get(module, module) or str(error)
