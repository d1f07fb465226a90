"""Windows of long audio: joined, they say what one pass over everything says."""

import itertools
import random
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from real_speech import digit_files
from tiny_experiment import write_experiment

from espnet_blankskip.audio import sound, stream
from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.decoding.frame_scores import FrameScores
from espnet_blankskip.decoding.greedy import greedy_on_full_output, greedy_search
from espnet_blankskip.decoding.hypothesis import TokenPath
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.inference.cut_choice import choose_cut
from espnet_blankskip.inference.long_audio import (
    Windowing,
    cut_into_pieces,
    join_paths,
)
from espnet_blankskip.inference.window_scoring import score_windows

RATE, VOCAB = 8000, 4
labels = st.integers(0, VOCAB - 1)


def scores(label, skipped=(), first=0, seed=0, vocab=VOCAB) -> FrameScores:
    """Frames whose best labels are given; the skipped ones are blank by the gate."""
    logits = np.random.default_rng(seed).random((len(label), vocab), np.float32)
    logits[range(len(label)), label] += 2.0
    keep = np.ones(len(label), dtype=bool)
    keep[[t for t in skipped if t < len(label)]] = False
    return FrameScores(
        first=first,
        log_probs=(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))[keep],
        kept_index=keep.nonzero()[0] + first,
        depth=np.where(keep, 4, 2),
        blank_logp=np.full(len(label), -0.125, np.float32),
    )


def decode(windows) -> TokenPath:
    """Greedy search of each piece, joined."""
    paths = []
    for piece in cut_into_pieces(windows):
        found = [greedy_search(piece.log_probs, piece.kept_index, piece.skipped_score)]
        paths = join_paths(paths, found, 1)
    return paths[0]


@st.composite
def window_sizes(draw):
    window = draw(st.integers(4, 24))
    return window, draw(st.integers(2, window // 2))


def starts_of(frames, window, overlap):
    """First frames of windows that cover so many frames."""
    last = max(0, frames - overlap - 1)
    return range(0, last + 1, window - overlap)


@given(st.lists(labels, min_size=1, max_size=120), window_sizes(), st.data())
def test_windows_that_agree_join_to_the_whole(label, sizes, data):
    """Without a single blank, too: a token cut in two is one token again."""
    window, overlap = sizes
    skipped = data.draw(st.sets(st.integers(0, len(label) - 1)))
    whole = scores(label, skipped)
    windows = (
        whole.between(first, min(first + window, len(label)))
        for first in starts_of(len(label), window, overlap)
    )
    joined = decode(windows)
    expected = greedy_search(whole.log_probs, whole.kept_index, whole.skipped_score)
    assert joined.token_int == expected.token_int
    assert (joined.start, joined.end) == (expected.start, expected.end)
    assert joined.confidence == expected.confidence
    assert joined.score == pytest.approx(expected.score, abs=1e-3)


@given(st.lists(labels, min_size=60, max_size=120), st.data())
def test_labels_at_the_edges_of_windows_do_not_count(label, data):
    """A window lacks context at its edges; what it says there may be anything."""
    window, overlap = 32, 16
    starts = list(starts_of(len(label), window, overlap))
    for first in starts[1:]:
        label[first + overlap // 2] = 0  # a blank amid each overlap
    windows = []
    for first in starts:
        heard = label[first : first + window]
        for t in range(4):
            if first > 0:
                heard[t] = data.draw(labels)
            if first != starts[-1]:
                heard[-1 - t] = data.draw(labels)
        windows.append(scores(heard, first=first))
    expected = greedy_on_full_output(scores(label).log_probs)
    joined = decode(windows)
    assert joined.token_int == expected.token_int
    assert (joined.start, joined.end) == (expected.start, expected.end)


@given(st.integers(-1, 1), st.integers(0, 14))
def test_a_word_heard_a_frame_earlier_or_later_is_neither_lost_nor_doubled(
    shift, phase
):
    label = ([0] * 4 + [1, 1, 2]) * 12
    left = label[phase : phase + 40]
    right = label[phase + 20 + shift : phase + 60 + shift]
    joined = decode([scores(left), scores(right, first=20)])
    expected = greedy_on_full_output(scores(label[phase : phase + 60]).log_probs)
    assert joined.token_int == expected.token_int or shift  # the last frame may leave
    assert joined.token_int[:-1] == expected.token_int[: len(joined.token_int) - 1]


def jittered(seed, vocab, jitter, window=100, overlap=25):
    """Tokens two or three frames apart, and windows that each hear them in their place
    or up to so many frames beside it, and anything in the first and last frame.
    """
    rng = random.Random(seed)
    tokens = [rng.randrange(1, vocab) for _ in range(150)]
    places = list(itertools.accumulate(rng.choice((2, 3)) for _ in tokens))
    frames = places[-1] + 20
    windows = []
    for first in starts_of(frames, window, overlap):
        label, last, before = [0] * frames, -1, 0
        for place, token in zip(places, tokens):
            # in order, and with a blank between equal tokens
            soonest = last + 1 + (token == before)
            last = max(place + rng.randint(-jitter, jitter), soonest)
            label[last] = before = token
        heard = label[first : first + window]
        if first > 0:
            heard[0] = rng.randrange(vocab)
        if first + window < frames:
            heard[-1] = rng.randrange(vocab)
        windows.append(scores(heard, first=first, vocab=vocab))
    return tokens, windows


@pytest.mark.parametrize("vocab, jitter, allowed", [(30, 1, 0), (5, 2, 8)])
def test_fast_speech_heard_some_frames_apart_loses_and_doubles_nothing(
    vocab, jitter, allowed
):
    """Cuts in the longest blank go wrong in 93 and 181 of these recordings; with four
    tokens heard up to four frames apart, it may be unclear which is which.
    """
    wrong = 0
    for seed in range(200):
        tokens, windows = jittered(seed, vocab, jitter)
        wrong += decode(windows).token_int != tokens
    assert wrong <= allowed


@given(
    st.lists(st.lists(labels, min_size=12, max_size=12), min_size=1, max_size=6),
    st.sets(st.integers(0, 11)),
)
def test_greedy_by_pieces_is_greedy_on_the_joined_frames(heard, skipped):
    """Whatever the windows say, and however much they disagree."""
    windows = [scores(h, skipped, 8 * i, seed=i) for i, h in enumerate(heard)]
    pieces = list(cut_into_pieces(windows))
    assert pieces[0].first == 0 and pieces[-1].end == windows[-1].end
    for before, after in zip(pieces, pieces[1:]):
        assert before.end == after.first
    expected = greedy_search(
        np.concatenate([p.log_probs for p in pieces]),
        np.concatenate([p.kept_index for p in pieces]),
        sum(p.skipped_score for p in pieces),
    )
    joined = decode(windows)
    assert joined.score == pytest.approx(expected.score, abs=1e-3)
    assert joined.token_int == expected.token_int
    assert (joined.start, joined.end) == (expected.start, expected.end)
    assert joined.confidence == pytest.approx(expected.confidence)


@pytest.mark.parametrize(
    "left, right, cut",
    [
        ("000000000000", "000000000000", 6),
        ("110000000011", "110000000011", 6),
        ("111110111111", "111110111111", 5),  # the only blank
        ("111011100111", "111011100111", 8),  # the longest run
        ("011111111111", "011111111111", 0),  # outside the central half
        ("111110111111", "111111101111", 6),  # none in both: the same label
        ("111111000000", "000000111111", 6),  # nothing in common
        ("", "", 0),
    ],
)
def test_the_cut_lies_in_blanks_that_both_windows_hear(left, right, cut):
    def best_labels(s):
        return np.array([int(c) for c in s], dtype=int)

    assert choose_cut(best_labels(left), best_labels(right)) == cut


def test_n_best_of_two_pieces_are_the_best_of_all_combinations():
    def path(token, at, score):
        return TokenPath([token], [at], [at], [0.5], score)

    before = [path(1, 0, -1.0), path(2, 0, -1.5), path(3, 0, -4.0)]
    after = [path(1, 9, -0.5), path(2, 9, -2.0)]
    found = join_paths(before, after, 4)
    assert [p.score for p in found] == [-1.5, -2.0, -3.0, -3.5]
    assert [p.token_int for p in found] == [[1, 1], [2, 1], [1, 2], [2, 2]]
    assert join_paths([], after, 1) == after[:1]


@given(
    st.integers(0, 400),
    st.lists(st.integers(1, 150), min_size=1, max_size=30),
    window_sizes(),
)
def test_windows_begin_on_frames_and_hold_everything(size, block_sizes, sizes):
    window, overlap = sizes
    windowing = Windowing(4, 4 * window, 4 * (window - overlap))
    samples = np.arange(size, dtype=np.float32)
    ends = np.cumsum(list(itertools.islice(itertools.cycle(block_sizes), size + 1)))
    blocks = np.split(samples, ends[ends < size])
    windows = list(windowing.split(blocks))
    for i, (first, held) in enumerate(windows):
        begin = 4 * first
        assert begin == i * windowing.hop
        assert np.array_equal(held, samples[begin : begin + windowing.length])
    for _, held in windows[:-1]:
        assert len(held) == windowing.length
    assert 4 * windows[-1][0] + len(windows[-1][1]) == size
    assert len(windows) == 1 or len(windows[-1][1]) > 4 * overlap


@pytest.mark.parametrize(
    "window, overlap", [(30, 16), (30, 0.4), (0.5, 0.5), (-1, 2), (float("nan"), 2)]
)
def test_windows_that_cannot_be_are_named(window, overlap):
    with pytest.raises(ValueError, match="overlap_seconds=.* half of window_seconds"):
        Windowing.of_seconds(window, overlap, 320, RATE)


@pytest.fixture(scope="module")
def spoken():
    """Half a minute of digits by several people, with and without pauses."""
    names = [f"{d}_{who}_{i}" for i in (0, 1) for d in range(10) for who in ("george",
             "lucas", "yweweler")]  # fmt: skip
    parts = []
    for i, file in enumerate(digit_files(*names)):
        parts += [soundfile.read(file, dtype="float32")[0], np.zeros(i % 3 * 800)]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="module")
def hears_locally(tmp_path_factory, spoken):
    """A model with a gate in which no frame depends on one that is half a second off.

    With its attention silenced the encoder is convolutions, so windows agree wherever
    both have half a second of context. Its CTC head tells the main directions of the
    states apart, and calls blank what is near their mean.
    """
    folder = tmp_path_factory.mktemp("local")
    config, file = write_experiment(folder, normalize=None)
    state = torch.load(file, weights_only=True)
    for name, weight in state.items():
        if "self_attn.linear_out" in name:
            weight.zero_()
    torch.save(state, file)
    model = BlankSkipSpeech2Text(config, file).asr_model
    with torch.no_grad():
        speech, lens = torch.from_numpy(spoken)[None], torch.tensor([len(spoken)])
        states = encode(model, speech, lens, "intermediate").states[0]
        mean = states.mean(0)
        main = torch.linalg.svd(states - mean, full_matrices=False).Vh[:4]
        spread = ((states - mean) @ main.T).std(0)
        weight, bias = state["ctc.ctc_lo.weight"], state["ctc.ctc_lo.bias"]
        weight[0] = 0.0
        weight[2:6] = 4.0 * main / spread[:, None]
        bias[:] = -weight @ mean
        bias[0], bias[1], bias[6] = 4.0, -20.0, -20.0
    torch.save(state, file)
    return config, file


@pytest.mark.parametrize("mode", ["skipping", "dense"])
def test_every_phase_of_the_windows_gives_the_tokens_of_one_pass(
    hears_locally, spoken, mode
):
    """Window lengths step through a word, so that seams fall anywhere within one."""
    whole = BlankSkipSpeech2Text(
        *hears_locally, mode=mode, window_seconds=float("inf")
    )(spoken)
    assert len(set(whole.token_int)) > 2 and len(whole.token) > 20
    if mode == "skipping":
        assert 0.1 < whole.kept_ratio < 0.9, "the test needs both kinds of frames"
    for window in np.arange(6.0, 7.0, 0.12):
        speech2text = BlankSkipSpeech2Text(
            *hears_locally, mode=mode, window_seconds=window, overlap_seconds=2.5
        )
        joined = speech2text(spoken)
        assert joined.token_int == whole.token_int
        assert joined.times == whole.times
        assert np.array_equal(joined.depth, whole.depth)
        assert joined.score == pytest.approx(whole.score, abs=1e-2)
        assert [w.text for w in joined.words] == joined.token


def test_windows_in_batches_are_windows_one_by_one(hears_locally, spoken):
    speech2text = BlankSkipSpeech2Text(
        *hears_locally, window_seconds=4, overlap_seconds=1
    )
    single = speech2text(spoken)
    for speeches in ([spoken], [spoken[:9000], spoken, spoken[: 5 * RATE]]):
        batched = speech2text.batch_decode(speeches, batch_size=3)
        again = batched[len(batched) // 2]
        assert again.token_int == single.token_int and again.times == single.times
        assert again.encoder_seconds < again.total_seconds


def test_a_file_is_read_in_blocks_and_gives_what_its_samples_give(
    hears_locally, spoken, tmp_path, monkeypatch
):
    path, sizes = tmp_path / "a.wav", []

    class Counted(stream.Mixer):
        def __call__(self, block):
            sizes.append(len(block))
            return super().__call__(block)

    soundfile.write(path, spoken, RATE, subtype="FLOAT")
    monkeypatch.setattr(stream, "Mixer", Counted)
    speech2text = BlankSkipSpeech2Text(
        *hears_locally, window_seconds=5, overlap_seconds=1
    )
    from_file = speech2text(path)
    assert len(sizes) > 3 and max(sizes) == sound.BLOCK_SECONDS * RATE
    assert from_file.nbest == speech2text(spoken).nbest


def bytes_held(array: np.ndarray) -> int:
    """Memory that an array keeps alive, as a view of numpy's or torch's."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    whole = array.base
    return array.nbytes if whole is None else whole.untyped_storage().nbytes()


def test_what_stays_of_a_window_is_a_few_bytes_per_frame(hears_locally, spoken):
    """The blank's log-probability may be a view of the whole vocabulary's."""
    model = BlankSkipSpeech2Text(*hears_locally, blank_threshold=1.1).asr_model
    (frames,), _ = score_windows(model, [Window(0, 0, spoken)], "skipping")
    for kept in (frames.depth, frames.blank_logp):
        assert bytes_held(kept) <= 8 * len(frames.depth)


def test_a_fault_late_in_a_file_is_that_files_fault_only(hears_locally, spoken):
    speech2text = BlankSkipSpeech2Text(
        *hears_locally, window_seconds=5, overlap_seconds=1
    )
    broken = spoken.copy()
    broken[-10] = np.nan
    results = speech2text.batch_decode(
        [broken, spoken], utt_ids=["bad", "good"], on_error="return"
    )
    assert isinstance(results[0], BadAudio) and "'bad': 1 of" in str(results[0])
    assert results[1].token_int == speech2text(spoken).token_int


def test_ten_minutes_of_silence(hears_locally):
    result = BlankSkipSpeech2Text(*hears_locally)(np.zeros(600 * RATE, np.int16))
    assert len(result.depth) == pytest.approx(600 / 0.04, abs=2)
    assert np.isfinite(result.score) and result.audio_seconds == 600


PEAK = """
import resource, sys
import numpy as np
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.inference import BlankSkipSpeech2Text
speech2text = BlankSkipSpeech2Text(*sys.argv[1:3], mode="dense")
speech2text(sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_audio(hears_locally, tmp_path):
    """Twenty minutes as a whole would take gigabytes."""
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * RATE)
    peaks = []
    for minutes in (1, 20):
        path = tmp_path / f"{minutes}.flac"
        soundfile.write(path, np.tile(noise, minutes), RATE)
        command = [sys.executable, "-c", PEAK, *map(str, hears_locally), str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < peaks[0] + 150, f"MiB at 1 and 20 minutes: {peaks}"
