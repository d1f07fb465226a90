"""The rival that stops whole utterances: early exit by confidence.

An utterance stops at a layer with an intermediate CTC if its best symbols are likely
enough there (the mean log-probability of the frames' best symbols, as in Yoon et al.,
HuBERT-EE, Interspeech 2024, arXiv 2204.06328), and else runs through all layers. Needs
no model but those readings that stop at each layer.
"""

from dataclasses import replace
from typing import Dict, Iterator, List

import numpy as np

from benchmarks.frontier.readings import Reading

#: Shares of the dev set's utterances in percent that run through all layers.
GOING_ON = (25, 50, 75)


def early_exits(found: Dict[str, List[Reading]], part: str) -> Iterator[Reading]:
    """A set's readings with early exit, at thresholds that the dev set gives.

    Args:
        found: Readings by set, those of "dev" among them.
        part: Which set.

    Yields:
        For each layer and each of GOING_ON a reading whose ``kept`` is the share of
        utterances, by words, that run through all layers.
    """
    dense = _of_way(found[part], "dense")
    for shallow in found["dev"]:
        if not shallow.way.startswith("layer "):
            continue
        stopped = _of_way(found[part], shallow.way)
        sure = np.array(stopped.confidence)
        for share in GOING_ON:
            goes_on = sure < np.percentile(shallow.confidence, share)
            errors = np.where(goes_on, dense.errors, stopped.errors)
            words = np.array(stopped.words)
            yield replace(
                stopped,
                way=f"early exit at {shallow.way}, {share} % go on",
                errors=errors.tolist(),
                kept=[float(words[goes_on].sum() / words.sum())],
            )


def _of_way(readings: List[Reading], way: str) -> Reading:
    return next(reading for reading in readings if reading.way == way)
