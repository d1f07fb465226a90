"""n-gram language models in ARPA or KenLM's binary format."""

import logging
import math
from pathlib import Path
from typing import Sequence, Tuple, Union

import kenlm

from espnet_blankskip.terminal import one_line

logger = logging.getLogger(__name__)

LN_10 = math.log(10.0)


class NGram:
    """Natural log-probabilities of an n-gram over words.

    Args:
        model: KenLM's model.
    """

    def __init__(self, model: kenlm.Model):
        self._model = model

    def begin(self) -> kenlm.State:
        """Return the state at the beginning of a sentence."""
        state = kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state

    def score(self, state: kenlm.State, word: str) -> Tuple[kenlm.State, float]:
        """Return the state after a word and log p(word | state)."""
        following = kenlm.State()
        return following, LN_10 * self._model.BaseScore(state, word, following)

    def end(self, state: kenlm.State) -> float:
        """Return log p(end of sentence | state)."""
        return self.score(state, "</s>")[1]

    def unigram(self, word: str) -> float:
        """Return the log-probability of a word without a history."""
        return LN_10 * self._model.score(word, bos=False, eos=False)


def read_ngram(path: Union[str, Path], units: Sequence[str], origin: str) -> NGram:
    """Read an n-gram file and check that it is over the units to be scored.

    Args:
        path: ARPA or KenLM binary file.
        units: Words or tokens that will be scored.
        origin: Where they come from: "lexicon" or "model".

    Returns:
        The n-gram.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no n-gram, or knows none of the units.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"lm_file={path} does not exist")
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        model = kenlm.Model(str(path), config)
    except (OSError, RuntimeError) as error:
        # KenLM tells where in its own source it was thrown, too.
        reason = one_line(error).split(" threw ")[-1].rstrip(")")
        raise ValueError(
            f"lm_file={path} is not an n-gram in ARPA or KenLM binary format: {reason}"
        ) from None
    known = sum(unit in model for unit in units)
    if known == 0:
        hint = (
            "the words of the lexicon must be written as in it"
            if origin == "lexicon"
            else "an n-gram over words needs a lexicon"
        )
        raise ValueError(
            f"lm_file={path} knows none of the {len(units)} entries of the {origin}: "
            f"{hint}"
        )
    if known < len(units):
        logger.warning(
            f"lm_file={path} knows {known} of the {len(units)} entries of the "
            f"{origin}; the others get its score for unknown words"
        )
    return NGram(model)


def token_ngram(path: Union[str, Path], token_list: Sequence[str]):
    """Make flashlight-text's model of an n-gram over the model's tokens.

    Args:
        path: As in `read_ngram`.
        token_list: The model's tokens.

    Returns:
        A language model that scores token ids, in decimal logarithms.

    Raises:
        FileNotFoundError, ValueError: See `read_ngram`.
    """
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    read_ngram(path, [t for t in token_list if not _is_special(t)], "model")
    return KenLM(str(path), Dictionary(list(token_list)))


def _is_special(token: str) -> bool:
    return token.startswith("<") and token.endswith(">")
