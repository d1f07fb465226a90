"""Sentences spoken by many voices of espeak-ng: speech in any amount from nothing.

It shows that a pipeline works and how fast it is. Error rates on it say nothing
about human speech.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Callable, FrozenSet, Iterator, List, Set
from zlib import crc32

import numpy as np
from tqdm import tqdm

from espnet_blankskip.children import end_with_parent, sensible_processes
from espnet_blankskip.corpora.acoustics import as_recorded
from espnet_blankskip.corpora.corpus_options import CorpusOptions
from espnet_blankskip.corpora.sentences import draw_sentence
from espnet_blankskip.corpora.speech_synthesis import Voice, speak
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.corpora.voices import ACCENTS, VARIANTS

SAMPLING_RATE = 16000
DEV_HOURS = 0.2
TEST_HOURS = 0.4
#: A quick look at a few minutes of training needs no hour of held-out speech.
HELD_OUT_SHARE = 0.5

WORDS_PER_MINUTE = (130, 220)
PITCH = (30, 70)
PITCH_RANGE = (30, 70)
EDGE_SILENCE_SECONDS = (0.1, 0.5)
#: Utterances planned, spoken and written in one go.
BATCH = 64


@dataclass(frozen=True)
class Prompt:
    """What to say and how; ``seed`` decides noise and level."""

    utt_id: str
    speaker: str
    text: str
    voice: Voice
    seed: int


def plan(name: str, seed: int, taken: FrozenSet[str]) -> Iterator[Prompt]:
    """Prompts of one set, without end.

    Args:
        name: Set, a key of :data:`VARIANTS`.
        seed: Seed of the corpus.
        taken: Sentences of other sets, which must not come again.
    """
    rng = np.random.default_rng([seed, crc32(name.encode())])
    voices = [(accent, variant) for variant in VARIANTS[name] for accent in ACCENTS]
    number, turn = 0, []
    while True:
        text = draw_sentence(rng)
        if text in taken:
            continue
        if not turn:
            turn = list(rng.permutation(len(voices)))
        accent, variant = voices[turn.pop()]
        voice = Voice(
            accent,
            variant,
            rate=int(rng.integers(*WORDS_PER_MINUTE, endpoint=True)),
            pitch=int(rng.integers(*PITCH, endpoint=True)),
            pitch_range=int(rng.integers(*PITCH_RANGE, endpoint=True)),
        )
        speaker = f"{variant}_{accent.replace('-', '')}"
        utt_id = f"{speaker}-{name}-{number:06d}"
        yield Prompt(utt_id, speaker, text, voice, int(rng.integers(2**32)))
        number += 1


def say(prompt: Prompt) -> np.ndarray:
    """Speech for a prompt, as if recorded; int16 of shape (samples,)."""
    rng = np.random.default_rng(prompt.seed)
    before, after = (
        np.zeros(int(rng.uniform(*EDGE_SILENCE_SECONDS) * SAMPLING_RATE))
        for _ in range(2)
    )
    speech = speak(prompt.text, prompt.voice, SAMPLING_RATE)
    audio = as_recorded(np.concatenate([before, speech, after]), rng)
    return np.round(audio * 32767.0).astype(np.int16)


@contextmanager
def workers(nj: int) -> Iterator[Callable]:
    """A ``map`` that works with ``nj`` processes and keeps the order."""
    nj = sensible_processes(nj, BATCH)
    if nj == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(nj, context, initializer=end_with_parent) as pool:
        yield lambda function, items: pool.map(function, items, chunksize=8)


def write_set(
    sets: StagedSets,
    name: str,
    options: CorpusOptions,
    hours: float,
    taken: Set[str],
    speak_all: Callable,
) -> None:
    """Fill one data folder and add its sentences to ``taken``.

    The audio is spoken in batches, and a set ends with the utterance that reaches
    ``hours``, so that it does not depend on the number of processes.
    """
    folder = sets.open(name)
    prompts = plan(name, options.seed, frozenset(taken))
    limit = 3600 * hours
    with tqdm(
        total=round(limit), unit="s", desc=f"speaking {name}", disable=None
    ) as bar:
        while folder.seconds < limit:
            batch: List[Prompt] = list(islice(prompts, BATCH))
            for prompt, audio in zip(batch, speak_all(say, batch)):
                if folder.seconds >= limit:
                    break
                folder.add(prompt.utt_id, prompt.speaker, prompt.text, audio)
                taken.add(prompt.text)
                bar.update(min(int(folder.seconds), bar.total) - bar.n)


def make(sets: StagedSets, options: CorpusOptions) -> None:
    """Make train_nodev (``options.train_hours`` long), train_dev and test."""
    hours = options.train_hours
    taken: Set[str] = set()
    with workers(options.nj) as speak_all:
        for name, length in (
            ("test", min(TEST_HOURS, HELD_OUT_SHARE * hours)),
            ("train_dev", min(DEV_HOURS, HELD_OUT_SHARE * hours)),
            ("train_nodev", hours),
        ):
            write_set(sets, name, options, length, taken, speak_all)
