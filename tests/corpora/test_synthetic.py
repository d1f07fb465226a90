"""synthetic: many voices, a large vocabulary, the same bytes from the same seed."""

import signal
from pathlib import Path

import numpy as np
import pytest
from made_corpora import usable

from espnet_blankskip.corpora import (
    CorpusOptions,
    prepare_corpus,
    speech_synthesis,
)
from espnet_blankskip.corpora.sentences import (
    draw_sentence,
    spell_number,
    spell_ordinal,
    spell_time,
    spell_year,
    vocabulary,
)
from espnet_blankskip.corpora.speech_synthesis import Voice, speak
from espnet_blankskip.corpora.voices import ACCENTS, VARIANTS
from espnet_blankskip.kaldi.lists import read_rows

SETS = ("train_nodev", "train_dev", "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    output = tmp_path_factory.mktemp("synthetic")
    prepare_corpus("synthetic", output, CorpusOptions(train_hours=0.05))
    return output


def test_grammar_says_at_least_a_thousand_words():
    rng = np.random.default_rng(0)
    heard = {word for _ in range(5000) for word in draw_sentence(rng).split()}
    assert len(heard) >= 1000
    assert heard <= vocabulary()
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in heard)


@pytest.mark.parametrize(
    "spoken, words",
    [
        (spell_number(0), "zero"),
        (spell_number(17), "seventeen"),
        (spell_number(40), "forty"),
        (spell_number(305), "three hundred and five"),
        (spell_number(12034), "twelve thousand thirty four"),
        (spell_ordinal(3), "third"),
        (spell_ordinal(20), "twentieth"),
        (spell_ordinal(31), "thirty first"),
        (spell_year(1900), "nineteen hundred"),
        (spell_year(1907), "nineteen oh seven"),
        (spell_year(1984), "nineteen eighty four"),
        (spell_year(2000), "two thousand"),
        (spell_time(3, 0), "three o'clock"),
        (spell_time(12, 45), "a quarter to one"),
        (spell_time(6, 5), "six oh five"),
    ],
)
def test_numbers_and_dates_are_spelled_as_people_say_them(spoken, words):
    assert spoken == words


def test_at_least_fifty_voices_train_and_none_of_them_tests():
    assert len(VARIANTS["train_nodev"]) >= 50
    variants = [variant for name in SETS for variant in VARIANTS[name]]
    assert len(variants) == len(set(variants))


def test_every_voice_speaks():
    for number, variant in enumerate(v for name in SETS for v in VARIANTS[name]):
        voice = Voice(ACCENTS[number % len(ACCENTS)], variant)
        audio = speak("seven", voice, 16000)
        assert 0.15 < len(audio) / 16000 < 1.5, voice.name
        assert np.abs(audio).max() > 0.02, voice.name


def test_speech_does_not_depend_on_what_was_said_before():
    # espeak-ng's own state would make it so.
    sentences = ["one two three", "the quiet lobster"]
    voices = [Voice("en-us", name) for name in ("f2", "klatt3", "grandma", "m1")]
    jobs = [(text, voice) for text in sentences for voice in voices]
    first = [speak(*job, 16000) for job in jobs]
    for job, wanted in reversed(list(zip(jobs, first))):
        np.testing.assert_array_equal(speak(*job, 16000), wanted)


def test_folders_pass_the_checker_with_voices_and_sentences_of_their_own(made):
    seen = []
    for name in SETS:
        good, problems = usable(made / name, fs=16000)
        assert good and not problems
        assert (made / name / "speech_kind").read_text() == "synthetic\n"
        speakers = {s.split("_")[0] for _, s in read_rows(made / name / "utt2spk")}
        assert speakers <= set(VARIANTS[name])
        seen.append({text for _, text in read_rows(made / name / "text")})
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_lists_are_sorted_by_utterance_and_by_speaker_at_once(made):
    speakers = [speaker for _, speaker in read_rows(made / "train_nodev" / "utt2spk")]
    assert speakers == sorted(speakers)


@pytest.mark.parametrize("nj", [1, 2])
def test_same_seed_same_bytes_for_any_number_of_processes(made, tmp_path, nj):
    options = CorpusOptions(train_hours=0.05, nj=nj)
    prepare_corpus("synthetic", tmp_path, options)
    for name in SETS:
        first, again = (
            {u: Path(f).read_bytes() for u, f in read_rows(root / name / "wav.scp")}
            for root in (made, tmp_path)
        )
        assert first == again


@pytest.mark.parametrize(
    "voice, message",
    [
        (dict(accent="en-us", variant="nobody"), "no voice en-us\\+nobody"),
        (dict(accent="en-nowhere", variant="f2"), "no voice"),
        (dict(accent="en-us", variant="f2", rate=20), "rate=20 must lie in 80..450"),
        (dict(accent="en-us", variant="f2", pitch=101), "pitch=101 must lie in 0..100"),
    ],
)
def test_wrong_voice_is_named(voice, message):
    with pytest.raises(ValueError, match=message):
        speak("seven", Voice(**voice), 16000)


def test_terminating_while_espeak_calls_back_is_not_lost(monkeypatch):
    """ctypes swallows what a callback raises, and a handler may raise in it."""
    receive = speech_synthesis._Synthesizer._receive

    def receive_and_terminate(self, *arguments):
        signal.raise_signal(signal.SIGTERM)
        return receive(self, *arguments)

    monkeypatch.setattr(
        speech_synthesis._Synthesizer, "_receive", receive_and_terminate
    )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            speak("one", Voice("en-us", "f2"), 16000)
    finally:
        signal.signal(signal.SIGTERM, before)
