"""Single digits spoken by espeak-ng, in place of FSDD's recordings."""

from typing import List

import numpy as np
from tqdm import tqdm

from espnet_blankskip.corpora.single_digits import WORDS, Recording
from espnet_blankskip.corpora.speech_synthesis import Voice, speak
from espnet_blankskip.corpora.voices import ACCENTS, DIGIT_SPEAKERS

RECORDINGS_PER_DIGIT = 50
WORDS_PER_MINUTE = (110, 230)
PITCH = (20, 80)


def speak_digits(sampling_rate: int, seed: int) -> List[Recording]:
    """As many digits, speakers and recordings of each as FSDD has.

    Args:
        sampling_rate: In Hz.
        seed: Same seed, same samples.

    Raises:
        ValueError: If espeak-ng is not installed.
    """
    rng = np.random.default_rng(seed)
    recordings = []
    for number, speaker in enumerate(
        tqdm(DIGIT_SPEAKERS, desc="speaking digits", disable=None)
    ):
        for digit, word in enumerate(WORDS):
            for index in range(RECORDINGS_PER_DIGIT):
                voice = Voice(
                    ACCENTS[number],
                    speaker,
                    rate=int(rng.integers(*WORDS_PER_MINUTE)),
                    pitch=int(rng.integers(*PITCH)),
                    pitch_range=int(rng.integers(*PITCH)),
                )
                audio = speak(word, voice, sampling_rate)
                recordings.append(Recording(digit, speaker, index, audio))
    return recordings
