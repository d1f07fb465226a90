"""Choose the search that decoding options ask for."""

import sys
from typing import Optional, Sequence

from espnet_blankskip.decoding.greedy import GreedySearch
from espnet_blankskip.decoding.hypothesis import CTCSearch
from espnet_blankskip.decoding.lexicon import read_lexicon
from espnet_blankskip.decoding.search_options import SearchOptions


def build_search(
    token_list: Sequence[str], options: Optional[SearchOptions] = None
) -> CTCSearch:
    """Build the search that options ask for.

    Args:
        token_list: The model's tokens.
        options: What to search for; None searches greedily.

    Raises:
        FileNotFoundError, OSError: A file is missing or cannot be read.
        ValueError: A file is not what it should be, or a package is missing.
    """
    options = options or SearchOptions()
    lm, lexicon = options.lm_file, options.lexicon
    if options.beam_size == 1 and lm is None and lexicon is None:
        return GreedySearch()
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
        return PrefixBeamSearch(options.beam_size, options.nbest, token_list)
    words = None if lexicon is None else read_lexicon(lexicon, token_list)
    return LanguageModelSearch(
        token_list,
        options.beam_size,
        options.nbest,
        lm,
        words,
        options.lm_weight or 0.0,
        options.word_score,
    )


def missing_package(error: ImportError) -> str:
    """Return the name of the package that an import did not find."""
    module = (error.name or "").split(".")[0]
    return {"flashlight": "flashlight-text"}.get(module, module) or str(error)
