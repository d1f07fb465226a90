"""CTC prefix beam search over the frames that were not skipped.

The search itself is flashlight-text's lexicon-free CTC decoder, which sums the
probability of all alignments of a token sequence (Graves, "Sequence Transduction with
Recurrent Neural Networks", 2012, and Hannun et al., arXiv 1408.2873, describe it). It
is given the kept frames only, and one sure blank in the place of every run of skipped
frames between them, which keeps equal tokens on both sides apart.

What a hypothesis is worth beyond its CTC probability is the business of a language
model object, so that one decoder serves all of them: none, an n-gram over tokens, or
a lexicon with or without an n-gram over words (`lexicon_model`). flashlight-text's
own lexicon decoder is not used: it reads the last token of a word in one frame only
and pays for a blank in the other frames of a run, because it expects words to end in
a separator, which ESPnet's word pieces do not.
"""

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from flashlight.lib.text.decoder import (
    LM,
    CriterionType,
    LexiconFreeDecoder,
    LexiconFreeDecoderOptions,
    ZeroLM,
)

from espnet_blankskip.decoding.hypothesis import BLANK, TokenPath, collapse, gaps_after
from espnet_blankskip.decoding.lexicon import Lexicon
from espnet_blankskip.decoding.lexicon_model import LexiconModel, LexiconReader
from espnet_blankskip.decoding.ngram import LN_10, read_ngram, token_ngram

# Tokens tried per frame: the probability of a CTC frame sits on very few of them, and
# a large vocabulary costs a hundred times as much when all are tried.
TOKENS_PER_FRAME = 20
# Hypotheses this far (natural logarithm) below the best of their frame are given up.
BEAM_THRESHOLD = 50.0
# A frame whose only label is blank: what stands for a run of skipped frames.
SURE_BLANK = np.zeros((1, 1), dtype=np.float32)


class PrefixBeamSearch:
    """Prefix beam search (a `CTCSearch`).

    The score of a hypothesis is the log-probability of its token sequence, summed
    over the alignments that stayed in the beam. Threads may share a search: each call
    has a decoder of its own.

    Args:
        beam: Hypotheses kept per frame, where a prefix that ends in a blank and the
            same one that does not count as two.
        nbest: Hypotheses returned at most.
        token_list: The model's tokens.
    """

    def __init__(self, beam: int, nbest: int, token_list: Sequence[str]):
        self._nbest = nbest
        self._options = _decoder_options(beam, len(token_list), 0.0)

    def __call__(
        self, log_probs: np.ndarray, kept_index: np.ndarray, skipped_score: float = 0.0
    ) -> List[TokenPath]:
        """Search one utterance; see `CTCSearch`."""
        log_probs, kept_index = np.asarray(log_probs), np.asarray(kept_index)
        gap = gaps_after(log_probs, kept_index)
        # Where the kept frames are among them and one blank per gap.
        rows = np.arange(len(log_probs))
        rows[1:] += gap.cumsum()
        paths: Dict[Tuple[int, ...], TokenPath] = {}
        for result in self._decode(log_probs, gap):
            # The first and last labels are the decoder's own marks of begin and end.
            labels = np.array(result.tokens[1:-1], dtype=np.int64)[rows]
            score = result.score + float(skipped_score)
            path = collapse(labels, log_probs, kept_index, gap, score)
            path = self._only_allowed(path)
            paths.setdefault(tuple(path.token_int), path)
            if len(paths) == self._nbest:
                break
        return list(paths.values())

    def _decode(self, log_probs: np.ndarray, gap: np.ndarray):
        """Return flashlight-text's results, best first."""
        emissions = np.ascontiguousarray(log_probs, dtype=np.float32)
        ends = [*(gap.nonzero()[0] + 1).tolist(), len(emissions)]
        lm = self._language_model()  # the decoder does not keep it alive
        # CTC has no silence token; blank in its place begins and ends a path.
        decoder = LexiconFreeDecoder(self._options, lm, BLANK, BLANK, [])
        decoder.decode_begin()
        for begin, end in zip([0, *ends], ends):
            if begin > 0:
                decoder.decode_step(SURE_BLANK.ctypes.data, *SURE_BLANK.shape)
            stretch = emissions[begin:end]
            decoder.decode_step(stretch.ctypes.data, *stretch.shape)
        decoder.decode_end()
        return decoder.get_all_final_hypothesis()

    def _language_model(self) -> LM:
        """Return the language model for one call."""
        return ZeroLM()

    def _only_allowed(self, path: TokenPath) -> TokenPath:
        return path


class LanguageModelSearch(PrefixBeamSearch):
    """Prefix beam search with an n-gram, a lexicon, or both (a `CTCSearch`).

    The score of a hypothesis is log p_CTC + lm_weight log p_LM + word_score W, with
    natural logarithms and W the number of words. Without a lexicon the n-gram is over
    the model's tokens. With one, only words of the lexicon are recognized, and the
    n-gram is over these words.

    Args:
        token_list: The model's tokens.
        beam: As in `PrefixBeamSearch`.
        nbest: As in `PrefixBeamSearch`.
        lm: n-gram file (ARPA or KenLM binary), or None.
        lexicon: Words and their tokens, or None.
        lm_weight: Weight of the n-gram.
        word_score: Added for every word of the lexicon.

    Raises:
        ValueError, FileNotFoundError: See `build_search`.
    """

    def __init__(
        self,
        token_list: Sequence[str],
        beam: int,
        nbest: int,
        lm: Union[str, Path, None] = None,
        lexicon: Optional[Lexicon] = None,
        lm_weight: float = 0.5,
        word_score: float = 0.0,
    ):
        self._nbest = nbest
        self._words = self._ngram = None
        if lexicon is not None:
            ngram = None if lm is None else read_ngram(lm, lexicon.words, "lexicon")
            self._words = LexiconModel(lexicon, ngram, lm_weight, word_score)
            weight = 1.0
        else:
            # KenLM's own scores are decimal logarithms.
            self._ngram, weight = token_ngram(lm, token_list), lm_weight * LN_10
        self._options = _decoder_options(beam, len(token_list), weight)

    def _language_model(self) -> LM:
        return self._ngram if self._words is None else LexiconReader(self._words)

    def _only_allowed(self, path: TokenPath) -> TokenPath:
        return path if self._words is None else self._words.only_words(path)


def _decoder_options(beam: int, vocab: int, lm_weight: float):
    return LexiconFreeDecoderOptions(
        beam_size=beam,
        beam_size_token=min(vocab, max(TOKENS_PER_FRAME, beam)),
        beam_threshold=BEAM_THRESHOLD,
        lm_weight=lm_weight,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
