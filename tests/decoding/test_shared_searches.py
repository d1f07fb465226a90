"""One search serves many threads, each as if it were alone."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from exhaustive_ctc import write_arpa

from espnet_blankskip.decoding.search import build_search
from espnet_blankskip.decoding.search_options import SearchOptions

V = 120
TOKENS = ["<blank>", *(f"▁t{i}" for i in range(1, V))]
UNIGRAMS = {"<unk>": -3.0, "<s>": -99.0, "</s>": -0.7}
SEARCHES = {
    "greedy": {},
    "beam": dict(beam_size=10, nbest=3),
    "n-gram": dict(beam_size=10, nbest=3, lm_file="tokens.arpa", lm_weight=0.7),
    "lexicon": dict(beam_size=5, nbest=3, lexicon="words.txt", word_score=0.3),
    "lexicon_with_n-gram": dict(
        beam_size=5, nbest=3, lexicon="words.txt", lm_file="words.arpa", lm_weight=0.7
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threads")
    units = TOKENS[1:60]
    write_arpa(
        folder / "tokens.arpa",
        {**UNIGRAMS, **{unit: -1.5 for unit in units}},
        {(a, b): -0.5 for a, b in zip(units, units[1:])},
    )
    words = [f"w{i}" for i in range(1, V)]
    lines = [f"{w} {t}\n" for w, t in zip(words, TOKENS[1:])]
    lines += [f"{w}x {t} {TOKENS[1]}\n" for w, t in zip(words, TOKENS[1:])]
    (folder / "words.txt").write_text("".join(lines), encoding="utf-8")
    write_arpa(
        folder / "words.arpa",
        {**UNIGRAMS, **{word: -1.5 for word in words[:60]}},
        {(a, b): -0.5 for a, b in zip(words[:60], words[1:60])},
    )
    return folder


def utterance(seed):
    """Log-probabilities (N, V) and kept frames (N,) with gaps."""
    generator = torch.Generator().manual_seed(seed)
    index = (torch.rand(40, generator=generator) < 0.7).nonzero()[:, 0]
    scores = 3 * torch.randn(len(index), V, generator=generator)
    scores[:, 0] += 6.0
    return scores.log_softmax(-1), index


@pytest.mark.parametrize("name", SEARCHES)
def test_each_thread_finds_what_it_would_find_alone(name, folder):
    if name != "greedy":
        pytest.importorskip("flashlight.lib.text", reason="beam search is an extra")
    options = {
        option: folder / value if option in ("lm_file", "lexicon") else value
        for option, value in SEARCHES[name].items()
    }
    search = build_search(TOKENS, SearchOptions(**options))
    utterances = [utterance(seed) for seed in range(4)]
    alone = [search(*utterance) for utterance in utterances]
    assert len({tuple(paths[0].token_int) for paths in alone}) == 4
    numbers = [i % 4 for i in range(24)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(3) as threads:
            together = list(threads.map(lambda i: search(*utterances[i]), numbers))
    finally:
        sys.setswitchinterval(interval)
    wrong = [i for i, paths in zip(numbers, together) if paths != alone[i]]
    assert not wrong
