"""Any audio becomes one channel at the model's rate, read in blocks (contract 10)."""

import logging
import os

import numpy as np
import pytest
import soundfile
import soxr
import torch

from espnet_blankskip.audio import downmixing, sound
from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.audio.stream import AudioReader

RATE = 8000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sound, "BLOCK_SECONDS", 0.3)


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (RATE, 1)).astype(np.float32)


def read(speech, rate=None, channel=None):
    return np.concatenate(
        list(AudioReader(RATE, channel).open(speech, rate, "u").blocks())
    )


@pytest.mark.parametrize(
    "name, channels, rate, subtype",
    [
        ("a.wav", 1, 8000, "PCM_16"),
        ("a.wav", 1, 8000, "PCM_24"),
        ("a.wav", 1, 8000, "PCM_32"),
        ("a.wav", 1, 8000, "FLOAT"),
        ("a.wav", 1, 8000, "DOUBLE"),
        ("a.wav", 1, 8000, "PCM_U8"),
        ("a.wav", 1, 8000, "ULAW"),
        ("a.wav", 6, 8000, "PCM_16"),
        ("a.wav", 2, 48000, "PCM_16"),
        ("a.wav", 1, 11025, "PCM_16"),
        ("a.flac", 2, 44100, "PCM_24"),
        ("a.ogg", 1, 8000, "VORBIS"),
        ("a.mp3", 1, 16000, "MPEG_LAYER_III"),
        ("a.aiff", 1, 8000, "PCM_16"),
    ],
)
def test_every_format_gives_what_reading_it_whole_gives(
    tmp_path, noise, name, channels, rate, subtype
):
    path = tmp_path / name
    soundfile.write(path, np.tile(noise, (2, channels)), rate, subtype=subtype)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
    blocks = list(AudioReader(RATE).open(path, None, "u").blocks())
    samples = np.concatenate(blocks)
    assert len(blocks) > 1 and samples.dtype == np.float32
    expected = whole if rate == RATE else soxr.resample(whole, rate, RATE)
    assert len(samples) == pytest.approx(len(expected), abs=1)
    size = min(len(samples), len(expected))
    assert np.abs(samples[:size] - expected[:size]).max() < 1e-4


@pytest.mark.parametrize("kind", ["i2", "i4", "f8", "f4", "f2"])
@pytest.mark.parametrize("order", "<>")
def test_arrays_of_every_kind_are_scaled_alike(noise, kind, order):
    scale = {"i2": 2**15, "i4": 2**31}.get(kind, 1)
    speech = (noise[:, 0].astype(np.float64) * scale).astype(order + kind)
    assert read(speech).dtype == np.float32
    assert read(speech) == pytest.approx(noise[:, 0], abs=1e-3)
    if order == "<":
        assert read(torch.from_numpy(speech)) == pytest.approx(noise[:, 0], abs=1e-3)


def test_tensors_that_numpy_does_not_know(noise):
    speech = torch.from_numpy(noise[:, 0])
    assert read(speech.bfloat16()) == pytest.approx(noise[:, 0], abs=2e-3)
    assert read(speech.clone().requires_grad_()) == pytest.approx(noise[:, 0])
    with pytest.raises(BadAudio, match="samples cannot be read"):
        read(speech.to_sparse())


def remarks_on(speech, channel=None):
    audio = AudioReader(RATE, channel).open(speech, RATE, "u")
    for _ in audio.blocks():
        pass
    return audio.remarks


def test_16_bit_values_made_floating_point_are_said(noise, tmp_path, caplog):
    speech = np.round(noise * 2**15)
    reader = AudioReader(RATE)
    with caplog.at_level(logging.WARNING):
        for name in ("first", "second"):
            list(reader.open(speech, RATE, name).blocks())
    (said,) = caplog.messages
    assert "divide them by 32768" in said and "'first'" in said
    soundfile.write(tmp_path / "a.wav", speech, RATE, subtype="FLOAT")
    assert remarks_on(tmp_path / "a.wav") == [downmixing.TOO_LOUD]
    for fine in (speech.astype(np.int16), noise, 9 * noise, 0 * noise):
        assert remarks_on(fine) == []


def test_channels_that_cancel_each_other_are_said(noise):
    other = np.random.default_rng(1).normal(0, 0.1, noise.shape).astype(np.float32)
    silence = np.zeros_like(noise)
    antiphase = [
        (noise, -noise),
        (noise, -0.9 * noise),
        (noise + 0.1 * other, -noise),
        (noise, -noise, noise, -noise),
    ]
    fine = [
        (noise, noise),
        (noise, other),
        (noise, silence),
        (silence, silence),
        (noise, -noise / 2),
        [np.roll(noise, n) for n in range(8)],
    ]
    for channels in antiphase:
        speech = np.concatenate(channels, axis=1)
        assert remarks_on(speech) == [downmixing.ANTIPHASE]
        assert remarks_on(speech, channel=1) == []
    for channels in fine:
        assert remarks_on(np.concatenate(channels, axis=1)) == []


def test_int16_is_what_soundfile_makes_of_it(tmp_path, noise):
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    pcm = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    assert np.array_equal(read(pcm), read(tmp_path / "a.wav"))


def test_channels_are_averaged_or_chosen(noise):
    speech = np.concatenate([noise, -noise / 2, 0 * noise], axis=1)
    assert read(speech) == pytest.approx(noise[:, 0] / 6, abs=1e-6)
    assert np.array_equal(read(speech, channel=1), -noise[:, 0] / 2)
    with pytest.raises(BadAudio, match="'u': has 3 channel.*none with number 3"):
        read(speech, channel=3)
    with pytest.raises(ValueError, match="channel=-1 must be 0 or more"):
        AudioReader(RATE, -1)


def test_what_is_changed_is_said_once_per_kind(noise, caplog):
    reader = AudioReader(RATE)
    with caplog.at_level(logging.WARNING):
        for rate in (16000, 48000, 16000, RATE, 48000):
            reader.open(noise, rate, f"utt{rate}")
        reader.open(np.tile(noise, (1, 2)), RATE, "stereo")
        reader.open(np.tile(noise, (1, 2)), RATE, "stereo2")
    assert len(caplog.messages) == 3
    assert "48000 Hz is resampled to the model's 8000 Hz" in caplog.messages[1]
    assert "'utt48000'" in caplog.messages[1] and "2 channels" in caplog.messages[2]


def test_an_array_is_not_copied(noise):
    speech = noise[:, 0]
    for block in AudioReader(RATE).open(speech, RATE, "u").blocks():
        assert np.shares_memory(block, speech)


@pytest.mark.parametrize(
    "speech, rate, words",
    [
        (np.zeros(0), RATE, "empty"),
        (np.zeros((0, 2)), RATE, "empty"),
        (np.zeros((2, 50)), RATE, "more channels than samples.*transpose"),
        (np.zeros((5, 2, 2)), RATE, "expected shape"),
        (np.zeros(()), RATE, "expected shape"),
        (np.zeros(9, np.uint8), RATE, "uint8"),
        (np.zeros(9, np.int64), RATE, "int64"),
        (np.zeros(9, complex), RATE, "complex128"),
        (np.array(["a"]), RATE, "U1"),
        (None, RATE, "object"),
        (np.zeros(9), 0, "sampling rate is 0 Hz"),
        (np.zeros(9), 10**9, "sampling rate is 1000000000 Hz"),
    ],
)
def test_arrays_that_are_no_audio(speech, rate, words):
    with pytest.raises(BadAudio, match=f"utterance 'u': .*{words}"):
        AudioReader(RATE).open(speech, rate, "u")


def _video(path):
    """The beginning of an mp4."""
    path.write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(5000))


def _truncated(path):
    soundfile.write(path, np.zeros(RATE), RATE)
    path.write_bytes(path.read_bytes()[:5000])


def _truncated_flac(path):
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    soundfile.write(path, noise, RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:9000])


def _slow(path):
    soundfile.write(path, np.zeros(50), 1)


@pytest.mark.parametrize(
    "name, make, words",
    [
        ("a.mp4", _video, "is MP4.*libsndfile does not read.*ffmpeg"),
        ("a.wav", lambda p: p.write_bytes(b""), "empty"),
        ("a.wav", lambda p: p.write_bytes(b"RIFF"), "cannot be read as audio"),
        ("a.wav", lambda p: soundfile.write(p, np.zeros(0), RATE), "empty"),
        ("a.wav", lambda p: p.mkdir(), "no such audio file"),
        ("a.wav", lambda p: None, "no such audio file"),
        ("a" * 300, lambda p: None, "cannot be opened: File name too long"),
        ("a.wav", _truncated, "truncated"),
        ("a.flac", _truncated_flac, "damaged|truncated"),
        ("a.wav", _slow, "sampling rate is 1 Hz"),
    ],
)
def test_files_that_are_no_audio_are_named_in_one_line(tmp_path, name, make, words):
    make(tmp_path / name)
    with pytest.raises(BadAudio, match=words) as error:
        read(tmp_path / name)
    assert "utterance 'u'" in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_may_not_be_read(tmp_path, noise):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise, RATE)
    path.chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(BadAudio, match="cannot be opened: Permission denied"):
            read(path)
    finally:
        if was_root:
            os.seteuid(0)
