"""The meaning of CTC search: every path through every frame, added up.

Also a small model's worth of words and an n-gram over them, written by hand.
"""

import itertools
import math
from collections import defaultdict

import torch

LN_10 = math.log(10.0)


def random_log_probs(frames, vocab, seed, sharpness=2.0):
    """Log-probabilities (T, V)."""
    generator = torch.Generator().manual_seed(seed)
    scores = sharpness * torch.randn(frames, vocab, generator=generator)
    return torch.log_softmax(scores.double(), dim=-1).float()


def sequence_log_probs(log_probs):
    """Log-probability of every token sequence, by token sequence (T, V small)."""
    probs = log_probs.double().exp().tolist()
    total = defaultdict(float)
    for path in itertools.product(range(log_probs.size(1)), repeat=len(log_probs)):
        p = math.prod(probs[t][label] for t, label in enumerate(path))
        runs = [label for label, _ in itertools.groupby(path)]
        total[tuple(label for label in runs if label)] += p
    return {tokens: math.log(p) for tokens, p in total.items() if p > 0}


def with_skipped_blanks(log_probs, keep):
    """The full output (T, V) in which skipped frames are surely blank."""
    full = log_probs.clone()
    full[~keep] = -math.inf
    full[~keep, 0] = 0.0
    return full


def write_arpa(path, unigrams, bigrams):
    """Write an ARPA file of decimal log-probabilities, no back-off penalties."""
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(bigrams)}", ""]
    lines += ["\\1-grams:"]
    lines += [f"{p}\t{word}\t0.0" for word, p in unigrams.items()]
    lines += ["", "\\2-grams:"]
    lines += [f"{p}\t{left} {right}" for (left, right), p in bigrams.items()]
    lines += ["", "\\end\\", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def ngram_log_prob(words, unigrams, bigrams):
    """Natural log-probability of a sentence under `write_arpa`'s n-gram."""
    total, left = 0.0, "<s>"
    for word in (*words, "</s>"):
        known = word if word in unigrams else "<unk>"
        total += bigrams.get((left, known), unigrams[known])
        left = known
    return LN_10 * total
