"""Contract 10: bad audio gets one clear line that names the utterance."""

import logging

import numpy as np
import pytest
import soundfile

from espnet_blankskip.audio.reading import BadAudio, check_samples, read_audio

RATE = 8000


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)


def _cut(path, size=5000):
    path.write_bytes(path.read_bytes()[:size])


def _make(folder, fault, noise):
    path = folder / "utt.wav"
    if fault == "missing":
        return path
    if fault == "zero bytes":
        path.write_bytes(b"")
    elif fault == "no samples":
        soundfile.write(path, noise[:0], RATE)
    elif fault == "text":
        path.write_text("these are words\n" * 100)
    elif fault == "truncated wav":
        soundfile.write(path, noise, RATE)
        _cut(path)
    elif fault == "truncated flac":
        path = folder / "utt.flac"
        soundfile.write(path, noise, RATE)
        _cut(path)
    elif fault == "rate":
        soundfile.write(path, noise, 16000)
    elif fault == "NaN":
        noise[5] = np.nan
        soundfile.write(path, noise, RATE, subtype="FLOAT")
    elif fault == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "fault, words",
    [
        ("missing", "no such audio file"),
        ("zero bytes", "empty"),
        ("no samples", "empty"),
        ("text", "cannot be read as audio"),
        ("truncated wav", "truncated by 11044 bytes"),
        ("truncated flac", "damaged"),
        ("rate", "16000 Hz but the model expects 8000 Hz"),
        ("NaN", "1 of 8000 samples are NaN"),
        ("folder", "no such audio file"),
    ],
)
def test_fault_is_named_in_one_line(tmp_path, noise, fault, words):
    path = _make(tmp_path, fault, noise)
    with pytest.raises(BadAudio) as error:
        read_audio(path, "spk-utt7", RATE)
    message = str(error.value)
    assert "utterance 'spk-utt7'" in message
    assert words in message
    assert "\n" not in message


def test_a_command_is_not_a_file():
    with pytest.raises(BadAudio, match="is a command"):
        read_audio("sph2pipe -f wav a.sph |", "u", RATE)


def test_stereo_is_mixed_down_with_a_line(tmp_path, noise, caplog):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([noise, -noise / 2], 1), RATE, subtype="FLOAT")
    with caplog.at_level(logging.WARNING):
        samples = read_audio(path, "utt1", RATE)
    assert samples.shape == noise.shape
    assert samples == pytest.approx(noise / 4, abs=1e-6)
    assert [r for r in caplog.messages if "'utt1'" in r and "2 channels" in r]


def test_silence_is_fine(tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    assert np.array_equal(read_audio(path, "u", RATE), np.zeros(RATE))


def test_a_piped_wav_without_length_is_not_truncated(tmp_path, noise):
    path = tmp_path / "piped.wav"
    soundfile.write(path, noise, RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(content))
    assert len(read_audio(path, "u", RATE)) == RATE


def test_same_samples_as_espnet_reads(tmp_path, noise):
    from espnet2.fileio.sound_scp import SoundScpReader

    soundfile.write(tmp_path / "a.wav", noise, RATE)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path}/a.wav\n")
    theirs = SoundScpReader(str(tmp_path / "wav.scp"), dtype="float32")["a"][1]
    assert np.array_equal(read_audio(tmp_path / "a.wav", "a"), theirs)


@pytest.mark.parametrize(
    "samples, words",
    [
        (np.zeros((2, 10)), "one channel"),
        (np.zeros(0), "empty"),
        (np.zeros(10), "too short: 10 samples, the model needs 11"),
        (np.full(20, np.inf), "20 of 20 samples are NaN or infinite"),
    ],
)
def test_samples_in_memory(samples, words):
    with pytest.raises(BadAudio, match=words):
        check_samples(samples, "u", min_samples=11)
