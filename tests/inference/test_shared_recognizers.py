"""One recognizer serves many threads, each as if it were alone."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from real_speech import digits
from tiny_experiment import TOKENS, write_experiment

from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.inference import BlankSkipSpeech2Text

RATE = 8000
WORDS = TOKENS[2:-1]
ARPA = """\\data\\
ngram 1={count}
ngram 2=1

\\1-grams:
-2.0\t<unk>
-99\t<s>\t-0.2
-0.7\t</s>
{words}

\\2-grams:
-0.1\tone two

\\end\\
"""
NGRAM = dict(lm_file="words.arpa", beam_size=5)
CASES = {
    "greedy": (True, {}),
    "batches": (True, dict(batch_size=2)),
    "windows": (True, dict(window_seconds=1.0, overlap_seconds=0.5)),
    "not_accelerated": (True, dict(fast=False)),
    "stock": (False, {}),
    "stock_not_accelerated": (False, dict(fast=False)),
    "beam": (True, dict(beam_size=5, nbest=2)),
    "n-gram": (True, NGRAM),
    "lexicon": (True, dict(NGRAM, lexicon="words.txt", nbest=2)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threads")
    for skipping in (True, False):
        write_experiment(folder / str(skipping), skipping=skipping)
    lines = "\n".join(f"-0.{n}\t{word}\t-0.3" for n, word in enumerate(WORDS, start=4))
    arpa = ARPA.format(count=3 + len(WORDS), words=lines)
    (folder / "words.arpa").write_text(arpa)
    (folder / "words.txt").write_text("".join(f"{w} {w}\n" for w in WORDS))
    return folder


def in_threads(function, inputs):
    """Results of three threads that change places as often as Python lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            return list(threads.map(function, inputs))
    finally:
        sys.setswitchinterval(interval)


def test_stock_encoders_that_keep_scores_on_themselves_take_turns(folder):
    model = BlankSkipSpeech2Text(
        folder / "False" / "config.yaml", folder / "False" / "model.pth", fast=False
    ).asr_model
    inputs = [torch.randn(1, 4000 + 500 * i) for i in range(4)]

    @torch.no_grad()
    def states(speech):
        return encode(model, speech, torch.tensor([speech.size(1)]), "dense").states

    alone = [states(speech) for speech in inputs]
    together = in_threads(states, inputs * 30)
    wrong = [i for i, got in enumerate(together) if not got.equal(alone[i % 4])]
    assert not wrong


@pytest.mark.parametrize("skipping, options", CASES.values(), ids=CASES)
def test_each_thread_hears_what_it_would_hear_alone(skipping, options, folder):
    if "beam_size" in options:
        pytest.importorskip("flashlight.lib.text", reason="beam search is an extra")
    options = {
        name: folder / value if name in ("lm_file", "lexicon") else value
        for name, value in options.items()
    }
    experiment = folder / str(skipping)
    speech2text = BlankSkipSpeech2Text(
        experiment / "config.yaml", experiment / "model.pth", **options
    )
    recordings = [
        digits("1_george_0", "2_george_1", "9_george_2", "0_george_3"),
        digits("7_lucas_0", "6_lucas_1", "1_lucas_0"),
        digits("5_nicolas_0", "5_nicolas_1"),
    ]

    def hear(number):
        result = speech2text(recordings[number], RATE)
        return result.nbest, result.depth

    alone = [hear(number) for number in range(3)]
    numbers = [i % 3 for i in range(24)]
    together = in_threads(hear, numbers)
    for number, (nbest, depth) in zip(numbers, together):
        assert [h.text for h in nbest] == [h.text for h in alone[number][0]]
        assert nbest[0].score == pytest.approx(alone[number][0][0].score, abs=1e-3)
        assert np.array_equal(depth, alone[number][1])
