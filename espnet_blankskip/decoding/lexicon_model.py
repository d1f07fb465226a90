"""A lexicon, with or without an n-gram over its words, as a model of tokens.

Scores any sequence of tokens by its best division into words of the lexicon. The
search then needs to know of tokens only: it is a composition with the lexicon, made
deterministic while decoding.
"""

from dataclasses import dataclass, field
from typing import Dict, Iterator, Optional, Tuple

from flashlight.lib.text.decoder import LM, LMState

from espnet_blankskip.decoding.hypothesis import TokenPath
from espnet_blankskip.decoding.lexicon import Lexicon, Node
from espnet_blankskip.decoding.ngram import NGram

# Score of a token that no word has there, and of an end within a word. It loses
# against every hypothesis of words, but keeps the search alive where there is none;
# `only_words` then removes what is no word.
VIOLATION = -1000.0


@dataclass(frozen=True, eq=False)
class Prefix:
    """Tokens read so far.

    Args:
        divisions: Score by node and n-gram state, for each division into words that
            is still possible.
        worth: The best of these scores, plus the best that the words now being
            spelled can bring.
        steps: Decoder's state after a further token and what it adds, as asked for.
    """

    divisions: Dict[Tuple[Node, object], float]
    worth: float
    steps: Dict[int, Tuple[LMState, float]] = field(default_factory=dict)


class LexiconModel:
    """Scores of tokens that spell words. Nothing of it changes while it is used.

    Args:
        lexicon: The words; its nodes get their look-ahead scores here.
        ngram: n-gram over the words, or None.
        lm_weight: Weight of the n-gram.
        word_score: Added for every word.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        ngram: Optional[NGram],
        lm_weight: float,
        word_score: float,
    ):
        self._lexicon = lexicon
        self._ngram = ngram
        self._lm_weight = lm_weight
        self._word_score = word_score
        self._look_ahead()

    def only_words(self, path: TokenPath) -> TokenPath:
        """Remove tokens that belong to no word of the lexicon.

        Args:
            path: A hypothesis of the decoder.

        Returns:
            The same, unless the decoder found no sequence of words.
        """
        prefix, kept, complete, violations = self.begin(), [], 0, 0
        for i, token in enumerate(path.token_int):
            after = self.advance(prefix, token)
            if after is None:
                violations += 1
                continue
            prefix = after
            kept.append(i)
            if any(self._is_end(node) for node, _ in prefix.divisions):
                complete = len(kept)
        violations += complete < len(kept)
        if not violations:
            return path
        kept = kept[:complete]
        return TokenPath(
            token_int=[path.token_int[i] for i in kept],
            start=[path.start[i] for i in kept],
            end=[path.end[i] for i in kept],
            confidence=[path.confidence[i] for i in kept],
            score=path.score - violations * VIOLATION,
        )

    def begin(self) -> Prefix:
        """Return the prefix without tokens."""
        begin = None if self._ngram is None else self._ngram.begin()
        return Prefix({(node, begin): 0.0 for node in self._lexicon.starts}, 0.0)

    def advance(self, prefix: Prefix, token: int) -> Optional[Prefix]:
        """Return a prefix with one more token; None where no word has it."""
        divisions: Dict[Tuple[Node, object], float] = {}
        for place, score in self._next_divisions(prefix, token):
            divisions[place] = max(score, divisions.get(place, score))
        if not divisions:
            return None
        worth = max(score + node.best for (node, _), score in divisions.items())
        return Prefix(divisions, worth)

    def end(self, prefix: Prefix) -> float:
        """Return what the end of the utterance adds to a prefix's worth."""
        divisions = prefix.divisions.items()
        ends = [s + self._end(lm) for (node, lm), s in divisions if self._is_end(node)]
        if ends:
            return max(ends) - prefix.worth
        unfinished = max(s + self._end(lm) for (_, lm), s in divisions)
        return VIOLATION + unfinished - prefix.worth

    def _next_divisions(
        self, prefix: Prefix, token: int
    ) -> Iterator[Tuple[Tuple[Node, object], float]]:
        for (node, lm), score in prefix.divisions.items():
            child = node.children.get(token)
            if child is None:
                continue
            if child.children:
                yield (child, lm), score
            for word in child.words:
                following, step = self._word(lm, word)
                yield (self._lexicon.root, following), score + step

    def _word(self, lm, word: str) -> Tuple[object, float]:
        if self._ngram is None:
            return None, self._word_score
        following, logp = self._ngram.score(lm, word)
        return following, self._lm_weight * logp + self._word_score

    def _end(self, lm) -> float:
        return 0.0 if self._ngram is None else self._lm_weight * self._ngram.end(lm)

    def _is_end(self, node: Node) -> bool:
        return node is self._lexicon.root

    def _look_ahead(self) -> None:
        """Give every node the score of the best single word below it.

        A word's score then comes in with its tokens instead of all at its end, when
        the search may already have given it up.
        """
        nodes = [self._lexicon.root]
        for node in nodes:  # parents before children
            nodes.extend(node.children.values())
        for node in reversed(nodes):
            below = [child.best for child in node.children.values()]
            node.best = max(below + [self._unigram(word) for word in node.words])
        # Between words nothing is being spelled.
        self._lexicon.root.best = 0.0

    def _unigram(self, word: str) -> float:
        if self._ngram is None:
            return self._word_score
        return self._lm_weight * self._ngram.unigram(word) + self._word_score


class LexiconReader(LM):
    """A lexicon model as flashlight-text's decoder asks for it, for one utterance.

    It remembers what it was asked, so each search needs its own.

    Args:
        model: The lexicon model.
    """

    def __init__(self, model: LexiconModel):
        super().__init__()
        self._model = model
        self._prefixes: Dict[LMState, Prefix] = {}

    def start(self, start_with_nothing: bool) -> LMState:
        """Begin an utterance (called by the decoder)."""
        state = LMState()
        self._prefixes = {state: self._model.begin()}
        return state

    def score(self, state: LMState, token: int) -> Tuple[LMState, float]:
        """Return the state after a token and what the token adds to the score."""
        prefix = self._prefixes[state]
        step = prefix.steps.get(token)
        if step is None:
            step = prefix.steps[token] = self._step(state, prefix, token)
        return step

    def finish(self, state: LMState) -> Tuple[LMState, float]:
        """Return what the end of the utterance adds to the score."""
        return state, self._model.end(self._prefixes[state])

    def _step(self, state: LMState, prefix: Prefix, token: int):
        after = self._model.advance(prefix, token)
        if after is None:
            return state, VIOLATION  # passed over
        following = state.child(token)
        self._prefixes[following] = after
        return following, after.worth - prefix.worth
