"""Models that are read already, read again with an n-gram over words.

Beam search recognizes the n-gram's words alone. What the n-gram and each word weigh is
tuned on the dev set, with all layers, and is the same in every way that a model is
asked; so are the settings of the gates, which were chosen without the n-gram.
"""

from dataclasses import replace
from itertools import product, takewhile
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Sequence, Tuple

import torch
import yaml

from benchmarks.frontier import data
from benchmarks.frontier.readings import Reader, Reading, load, word_errors, write
from espnet_blankskip.decoding.frame_scores import FrameScores, frame_scores
from espnet_blankskip.decoding.make_lexicon import read_token_config, speller
from espnet_blankskip.decoding.search import build_search
from espnet_blankskip.decoding.search_options import SearchOptions
from espnet_blankskip.gate_options import GateOptions

READINGS = "ngram.json"
OPTIONS = "ngram_decode.yaml"
BEAM = 10
LM_WEIGHTS = (0.25, 0.5, 0.75, 1.0)
WORD_SCORES = (0.0, 1.0, 2.0)

#: Scores of an utterance, with the way that was asked for and its place in the set.
Scored = Tuple[str, int, FrameScores]


def read_with_ngram(
    folder: Path, prepared: Path, arpa: Path, device: str
) -> Dict[str, List[Reading]]:
    """Read a model with an n-gram; writes READINGS, and OPTIONS to decode with.

    Args:
        folder: An experiment with readings.
        prepared: Features of its corpus.
        arpa: The n-gram.
        device: Where to encode.

    Returns:
        What was read of the dev set (with all layers) and of the test set (with all,
        stopping, and skipping at the gates of the model's configuration).

    Raises:
        ValueError, OSError: The n-gram cannot be read.
    """
    greedy = load(folder / "readings.json")
    reader = Reader(folder, device)
    arpa, lexicon = arpa.resolve(), (folder / "ngram_lexicon.txt").resolve()
    write_lexicon(folder / "config.yaml", arpa, lexicon)
    dev, test = (data.load(prepared / f"{name}.pt") for name in ("dev", "test"))
    all_layers = [reading for reading in greedy["dev"] if reading.way == "dense"]
    scores = [s for s in _scores(reader, dev, all_layers[0]) if s[0] == "dense"]
    found: Dict[str, List[Reading]] = {"dev": [], "test": []}
    for lm_weight, word_score in product(LM_WEIGHTS, WORD_SCORES):
        tried = SearchOptions(BEAM, 1, arpa, lexicon, lm_weight, word_score)
        readings = _search(reader, dev, scores, tried, all_layers)
        if not found["dev"] or readings[0].wer < found["dev"][0].wer:
            found["dev"], options = readings, tried
    by_gate: Dict[str, List[Reading]] = {}
    for reading in greedy["test"]:
        if reading.gate.get("gate_layers") in (None, reader.trained_gates):
            by_gate.setdefault(str(reading.gate), []).append(reading)
    for wanted in by_gate.values():
        scores = _scores(reader, test, wanted[0])
        found["test"] += _search(reader, test, scores, options, wanted)
    write(found, folder / READINGS)
    (folder / OPTIONS).write_text(yaml.safe_dump(options.given()), encoding="utf-8")
    return found


def write_lexicon(config: Path, arpa: Path, file: Path) -> None:
    """Spell the words of an n-gram as a model's tokens do.

    Args:
        config: The model's `config.yaml`.
        arpa: The n-gram.
        file: The lexicon to write, without words that cannot be spelled.

    Raises:
        ValueError, OSError: The n-gram is not in ARPA format, or cannot be read.
    """
    options = read_token_config(config)
    spell, tokens = speller(options), set(options["token_list"])
    with open(arpa, encoding="utf-8", errors="replace") as text:
        lines = iter(line.rstrip("\n") for line in text)
        if "\\1-grams:" not in lines:  # reads up to there
            raise ValueError(f"--arpa {arpa} is no n-gram in ARPA format")
        unigrams = takewhile(lambda line: not line.startswith("\\"), lines)
        words = [line.split("\t")[1] for line in unigrams if line]
    spelled = ((word, spell(word)) for word in words if word[0] != "<")
    rows = [f"{w}\t{' '.join(s)}\n" for w, s in spelled if tokens.issuperset(s)]
    file.write_text("".join(rows), encoding="utf-8")


@torch.inference_mode()
def _scores(reader: Reader, corpus: data.FeatureSet, like: Reading) -> Iterator[Scored]:
    """Encode a set as a reading was made, with its gate or without any."""
    gate = GateOptions(**like.gate, mode="skipping" if like.gate else "dense")
    for group, encoded, states in reader.encode(corpus, gate):
        for way, x in states.items():
            said = frame_scores(reader.model.ctc, replace(encoded, states=x))
            for n, scores in zip(group, said):
                yield way, n, scores


def _search(
    reader: Reader,
    corpus: data.FeatureSet,
    scores: Iterable[Scored],
    options: SearchOptions,
    wanted: Sequence[Reading],
) -> List[Reading]:
    """The wanted readings with the errors that the search makes in their place."""
    search = build_search(reader.tokens, options)
    texts: Dict[str, Dict[int, str]] = {reading.way: {} for reading in wanted}
    for way, n, said in scores:
        if way in texts:
            best = search(said.log_probs, said.kept_index)[0]
            texts[way][n] = reader.text(best.token_int)
    return [
        replace(reading, errors=word_errors(corpus.texts, texts[reading.way]))
        for reading in wanted
    ]
