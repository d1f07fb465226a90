"""What is searched for in the scores of frames, as one value."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Dict, Optional, Union

from espnet_blankskip.option_values import as_number, checked_count

LM_WEIGHT = 0.5


@dataclass(frozen=True)
class SearchOptions:
    """Options of the search; numbers may be numpy scalars or text.

    Args:
        beam_size: hypotheses kept per frame; 1 without an n-gram or a lexicon is
            greedy search.
        nbest: hypotheses to return, at most `beam_size`.
        lm_file: n-gram file, ARPA or KenLM binary: over the words of the lexicon if
            there is one, else over the model's tokens.
        lexicon: file of words and their tokens (see `lexicon`); only these words are
            recognized.
        lm_weight: weight of the n-gram's natural log-probability; None: 0.5.
        word_score: added for every word of the lexicon.

    Raises:
        ValueError: naming the option: it is out of its range, or goes with another
            one that is not given.
    """

    beam_size: int = 1
    nbest: int = 1
    lm_file: Union[str, Path, None] = None
    lexicon: Union[str, Path, None] = None
    lm_weight: Optional[float] = None
    word_score: float = 0.0

    def __post_init__(self):
        for name, value in self._checked().items():
            object.__setattr__(self, name, value)

    def _checked(self) -> Dict[str, Any]:
        beam_size = checked_count("beam_size", self.beam_size, 1)
        nbest = checked_count("nbest", self.nbest)
        if not 1 <= nbest <= beam_size:
            raise ValueError(
                f"nbest={nbest} must lie in 1..{beam_size} for beam_size={beam_size}"
            )
        word_score = as_number(self.word_score)
        if not math.isfinite(word_score):
            raise ValueError(f"word_score={self.word_score} must be finite")
        if word_score and self.lexicon is None:
            raise ValueError(f"word_score={self.word_score} needs a lexicon")
        lm_weight = None if self.lm_weight is None else as_number(self.lm_weight)
        if lm_weight is not None and not 0 <= lm_weight < math.inf:
            raise ValueError(
                f"lm_weight={self.lm_weight} must be at least 0 and finite"
            )
        if lm_weight is not None and self.lm_file is None:
            raise ValueError(
                f"lm_weight={self.lm_weight} needs lm_file, whose weight it is"
            )
        return dict(
            beam_size=beam_size,
            nbest=nbest,
            lm_weight=LM_WEIGHT if lm_weight is None and self.lm_file else lm_weight,
            word_score=word_score,
        )

    def given(self) -> Dict[str, Any]:
        """The options that are not at their defaults, as YAML writes them."""
        values = {name: getattr(self, name) for name in SEARCH_OPTIONS}
        paths = {k: str(v) for k, v in values.items() if isinstance(v, Path)}
        return {
            name: value
            for name, value in {**values, **paths}.items()
            if value != getattr(SearchOptions, name)
        }


SEARCH_OPTIONS = tuple(field.name for field in fields(SearchOptions))
