"""Every file that libsndfile reads is read whole, whatever its header says."""

import io
import os
import struct
import threading
import warnings

import numpy as np
import pytest
import soundfile
from odd_audio import flac_of_unknown_length

from espnet_blankskip.audio import sound
from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.reading import read_audio
from espnet_blankskip.audio.stream import AudioReader

RATE = 16000
SECONDS = 1
# without a header nobody knows the rate
PAIRS = [
    (name, subtype)
    for name in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(name)
    if name != "RAW"
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sound, "BLOCK_SECONDS", 0.3)


@pytest.fixture(scope="module")
def tone():
    """A tone that sweeps, so that no stretch of it stands for another."""
    time = np.arange(SECONDS * RATE) / RATE
    return (0.4 * np.sin(2 * np.pi * (200 + 150 * time) * time)).astype(np.float32)


def heard(source, rate=RATE):
    """Samples, and what was said about them."""
    audio = AudioReader(rate).open(source, None, "u")
    samples = np.concatenate(list(audio.blocks()))
    assert audio.num_samples * rate == pytest.approx(
        len(samples) * audio.rate, abs=rate
    )
    return samples, audio.remarks


def test_all_pairs_of_format_and_subtype_that_soundfile_writes(tmp_path, tone):
    read, failed = 0, {}
    for name, subtype in PAIRS:
        path = tmp_path / f"{subtype}.{name.lower()}"
        for rate in (RATE, 8000):  # some formats know one rate only
            try:
                soundfile.write(path, tone, rate, format=name, subtype=subtype)
            except (soundfile.SoundFileError, ValueError):
                continue
            read += 1
            rate = soundfile.info(path).samplerate  # and some have one of their own
            try:
                samples = np.concatenate(
                    list(AudioReader(rate).open(path, None, "u").blocks())
                )
                whole = read_audio(path, "u", rate)
            except BadAudio as error:
                failed[name, subtype, rate] = error.reason
                continue
            # codecs fill their last block, and shift by a few samples
            assert np.array_equal(samples, whole), (name, subtype)
            assert 0 <= len(samples) - len(tone) < 1000, (name, subtype)
            power = np.abs(np.fft.rfft(samples[: len(tone)]))
            expected = np.abs(np.fft.rfft(tone))
            alike = np.corrcoef(power, expected)[0, 1]
            assert alike > 0.9, (name, subtype, alike)
    assert not failed
    assert read > 200


def test_flac_of_unknown_length_is_read_whole(tmp_path, tone):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone, RATE)
    expected = read_audio(path, "u")
    flac_of_unknown_length(path)
    assert np.array_equal(heard(path)[0], expected)
    assert np.array_equal(read_audio(path, "u"), expected)
    assert AudioReader(RATE).open(path, None, "u").seconds == float("inf")


def frame_length(content: bytes) -> int:
    """Bytes of the MPEG-2 layer III frame that a file at 16 kHz begins with."""
    header = struct.unpack(">I", content[:4])[0]
    rates = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
    return 72 * rates[header >> 12 & 15] * 1000 // RATE + (header >> 9 & 1)


def mp3(path, samples, mode="VARIABLE", table=True):
    """Write an MP3; without its table it is as an encoder leaves it in a pipe."""
    with soundfile.SoundFile(
        path, "w", RATE, 1, format="MP3", compression_level=0.1, bitrate_mode=mode
    ) as file:
        file.write(samples)
    if not table:
        content = path.read_bytes()
        assert b"Xing" in content[:100] or b"Info" in content[:100]
        path.write_bytes(content[frame_length(content) :])
    return path


LOUD_QUIET = np.random.default_rng(0).normal(0, 0.3, 12 * RATE).astype(np.float32)
LOUD_QUIET[3 * RATE :] *= 1e-5
QUIET_LOUD = LOUD_QUIET[::-1].copy()
DELAY = 2400  # samples of the codec's delay and padding, which only the table tells


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("samples", [LOUD_QUIET, QUIET_LOUD], ids=["loud", "quiet"])
def test_mp3_without_a_table_is_heard_to_its_end(tmp_path, mode, samples):
    path = mp3(tmp_path / "a.mp3", samples, mode, table=False)
    got, remarks = heard(path)
    assert 0 <= len(got) - len(samples) <= DELAY
    assert not remarks
    where = np.flatnonzero(np.abs(got) > 0.1) / RATE
    expected = np.flatnonzero(np.abs(samples) > 0.1) / RATE
    assert where[[0, -1]] == pytest.approx(expected[[0, -1]], abs=0.2)


ID3V2 = b"ID3\x04\0\0\0\x02\0\0" + bytes(2 << 14)
APE_FIELDS = b"APETAGEX" + struct.pack("<III", 2000, 8032, 1)
APE = APE_FIELDS + b"\0\0\0\xa0" + bytes(8) + b"picture." * 1000
APE += APE_FIELDS + b"\0\0\0\x80" + bytes(8)


@pytest.mark.parametrize("table", [True, False], ids=["table", "no table"])
@pytest.mark.parametrize(
    "before, cut, after",
    [
        (ID3V2, 0, b""),
        (b"", 0, b"TAG" + bytes(125)),
        (b"", 0, APE),
        (ID3V2, 0, APE + b"TAG" + bytes(125)),
        (b"", 0, bytes(200_000)),
        (b"", 1, b""),
        (b"", 70, b""),
    ],
    ids=["ID3v2", "ID3v1", "APE", "all tags", "zeros", "cut", "cut more"],
)
def test_mp3_with_tags_or_a_frame_cut_off_is_heard_to_its_end(
    tmp_path, table, before, cut, after
):
    path = mp3(tmp_path / "a.mp3", LOUD_QUIET, table=table)
    content = path.read_bytes()
    path.write_bytes(before + content[: len(content) - cut] + after)
    got, remarks = heard(path)
    assert abs(len(got) - len(LOUD_QUIET)) <= DELAY
    assert not remarks or (cut and table and remarks == [sound.TOO_LITTLE])


def test_what_follows_mp3_and_is_no_audio_is_never_left_out_in_silence(tmp_path):
    path = mp3(tmp_path / "a.mp3", LOUD_QUIET)
    path.write_bytes(path.read_bytes() + b"no audio" * 999)
    got, remarks = heard(path)
    assert len(got) == len(LOUD_QUIET) and remarks == [sound.LEFT_OUT]
    path = mp3(tmp_path / "b.mp3", LOUD_QUIET, table=False)
    path.write_bytes(path.read_bytes() + b"no audio" * 999)
    with pytest.raises(BadAudio, match="damaged"):
        heard(path)


def test_mp3_with_a_table_is_what_soundfile_reads_and_no_longer(tmp_path):
    path = mp3(tmp_path / "a.mp3", LOUD_QUIET)
    expected = soundfile.read(path, dtype="float32")[0]
    assert len(expected) == len(LOUD_QUIET)
    assert np.abs(heard(path)[0] - expected).max() < 1e-4


def test_a_truncated_mp3_with_a_table_is_refused(tmp_path):
    path = mp3(tmp_path / "a.mp3", LOUD_QUIET)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(BadAudio, match="truncated: [0-9]+ of 192000 samples"):
        heard(path)


def joined(folder, suffix, subtype, counts):
    """Files of a format, one behind the other in one file."""
    content, total = b"", []
    for n, count in enumerate(counts):
        part = np.random.default_rng(n).normal(0, 0.1, count).astype(np.float32)
        soundfile.write(folder / f"{n}{suffix}", part, RATE, subtype=subtype)
        total.append(soundfile.read(folder / f"{n}{suffix}", dtype="float32")[0])
        content += (folder / f"{n}{suffix}").read_bytes()
    path = folder / f"all{suffix}"
    path.write_bytes(content)
    return path, np.concatenate(total)


@pytest.mark.parametrize(
    "suffix, subtype", [(".ogg", "VORBIS"), (".ogg", "OPUS"), (".mp3", None)]
)
@pytest.mark.parametrize("counts", [(20000, 50000), (50000, 20000), (20000,) * 3])
def test_streams_one_behind_the_other_are_all_heard(tmp_path, suffix, subtype, counts):
    path, expected = joined(tmp_path, suffix, subtype, counts)
    got, remarks = heard(path)
    assert len(got) == len(expected) and not remarks
    assert np.abs(got - expected).max() < 1e-3
    assert len(heard(io.BytesIO(path.read_bytes()))[0]) == len(expected)


def test_streams_that_differ_in_rate_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.ogg", np.zeros(9000), 8000)
    soundfile.write(tmp_path / "b.ogg", np.zeros(9000), 16000)
    path = tmp_path / "c.ogg"
    path.write_bytes(
        (tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes()
    )
    with pytest.raises(BadAudio, match="streams of 8000 and 16000 Hz"):
        heard(path, 8000)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_that_was_cut_off_is_named(tmp_path, subtype):
    path, whole = joined(tmp_path, ".ogg", subtype, (8 * RATE,))
    content = path.read_bytes()
    last = content.rindex(b"OggS")
    path.write_bytes(content[: last + 40])
    with pytest.raises(BadAudio, match="truncated"):
        heard(path)
    path.write_bytes(content[:last])
    got, remarks = heard(path)
    assert remarks == [sound.NO_END] and 0 < len(got) < len(whole)


def header_with(path, size_of):
    """Let the header of a file announce another number of bytes of samples."""
    content = bytearray(path.read_bytes())
    name, layout = {".aiff": (b"SSND", ">I"), ".au": (b".snd", ">I")}.get(
        path.suffix, (b"data", "<I")
    )
    at = content.index(name) + (8 if path.suffix == ".au" else 4)
    size = struct.unpack_from(layout, content, at)[0]
    struct.pack_into(layout, content, at, size_of(size))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au"])
@pytest.mark.parametrize("beyond", [44, 726])
@pytest.mark.parametrize("through", [str, lambda p: io.BytesIO(p.read_bytes())])
def test_a_header_that_announces_a_little_more_is_forgiven(
    tmp_path, tone, suffix, beyond, through
):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, tone, RATE, subtype="PCM_16")
    expected = read_audio(path, "u")
    header_with(path, lambda size: size + beyond)
    got, remarks = heard(through(path))
    assert np.array_equal(got, expected)
    assert remarks == [sound.TOO_LITTLE]


@pytest.mark.parametrize("through", [str, lambda p: io.BytesIO(p.read_bytes())])
@pytest.mark.parametrize(
    "name, subtype",
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "ULAW"),
        ("a.rf64", "PCM_16"),
        ("a.aiff", "PCM_16"),
        ("a.au", "PCM_16"),
    ],
)
def test_a_header_with_length_0_is_read_to_its_end(
    tmp_path, tone, name, subtype, through
):
    path = tmp_path / name
    soundfile.write(path, tone, RATE, format=name[2:].upper(), subtype=subtype)
    expected = read_audio(path, "u")
    header_with(path, lambda size: 0)
    got, remarks = heard(through(path))
    assert np.array_equal(got, expected)
    assert remarks == [sound.NO_LENGTH]


def test_a_wav_of_length_0_that_holds_other_chunks_is_empty(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), RATE)
    comment = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    path.write_bytes(path.read_bytes() + comment)
    with pytest.raises(BadAudio, match="empty"):
        heard(path)


CUT = [
    "a.wav", "a.rf64", "a.w64", "a.aiff", "a.au", "a.nist", "a.svx", "a.caf", "a.flac",
    "a.mp3", "a.ogg",
]  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_half_a_file_is_refused_in_every_format_that_tells(tmp_path, tone, name):
    path = tmp_path / name
    soundfile.write(path, np.tile(tone, 4), RATE, format=name[2:].upper())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(BadAudio, match="truncated|damaged"):
            heard(source)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_files_in_memory_and_open_files_are_read_from_their_beginning(
    tmp_path, tone, name
):
    path = tmp_path / name
    soundfile.write(path, tone, RATE)
    expected = heard(path)[0]
    memory = io.BytesIO(path.read_bytes())
    memory.seek(0, io.SEEK_END)  # where writing left it
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for source in (memory, file, raw):
            assert np.array_equal(heard(source)[0], expected)
            assert np.array_equal(heard(source)[0], expected), "a second time"
            assert not source.closed


class _Faulty(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        raise OSError("Input/output error")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: path.open("r", encoding="latin-1"), "opened as text"),
        (lambda path: io.StringIO("a"), "opened as text"),
        (lambda path: io.BytesIO(), "empty"),
        (lambda path: io.BytesIO(b"words " * 99), "cannot be read as audio"),
        (lambda path: _Faulty(), "Input/output error"),
    ],
)
def test_open_files_that_are_no_audio(tmp_path, tone, make, words):
    soundfile.write(tmp_path / "a.wav", tone, RATE)
    with pytest.raises(BadAudio, match=words):
        heard(make(tmp_path / "a.wav"))


def test_a_closed_file_is_named(tmp_path):
    file = io.BytesIO(b"RIFF")
    file.close()
    with pytest.raises(BadAudio, match="closed"):
        heard(file)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_a_pipe_is_heard(tmp_path, tone, name):
    soundfile.write(tmp_path / name, tone, RATE)
    content = (tmp_path / name).read_bytes()
    expected = heard(tmp_path / name)[0]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,))
    writer.start()
    got = heard(fifo)[0]
    writer.join()
    assert np.array_equal(got, expected)


def test_a_device_is_refused():
    with pytest.raises(BadAudio, match="is a device, not an audio file: /dev/zero"):
        heard("/dev/zero")


def test_names_that_are_not_utf8_are_read(tmp_path, tone):
    for name in (b"caf\xe9.wav", b"caf\xe9.mp3", b"caf\xe9.ogg"):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        soundfile.write(os.fsencode(path), tone, RATE)
        assert len(heard(path)[0]) == len(tone)
        assert len(read_audio(path, "u")) == len(tone)
        with pytest.raises(BadAudio) as error:
            read_audio(path + "x", "u")
        assert error.value.reason.encode("utf-8").startswith(b"no such audio file")


def test_headerless_samples_are_named(tmp_path, tone):
    path = tmp_path / "a.raw"
    path.write_bytes((tone * 3e4).astype("<i2").tobytes())
    with pytest.raises(BadAudio, match="cannot be read as audio"):
        heard(path)
    soundfile.write(tmp_path / "b.wav", tone, RATE)
    (tmp_path / "b.wav").rename(tmp_path / "b.raw")
    assert len(heard(tmp_path / "b.raw")[0]) == len(tone)


@pytest.mark.parametrize(
    "begin, words",
    [
        (b"\0\0\0\x20ftypM4A ", "MP4 .m4a, mp4, mov.*ffmpeg"),
        (b"\x1a\x45\xdf\xa3", "WebM or Matroska.*ffmpeg"),
        (b"#!AMR\n", "AMR.*ffmpeg"),
        (b"\xff\xf1\x50\x80", "AAC.*ffmpeg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA.*ffmpeg"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_what_libsndfile_does_not_read_is_named_with_the_remedy(tmp_path, begin, words):
    path = tmp_path / "a.wav"
    path.write_bytes(begin + bytes(5000))
    with pytest.raises(BadAudio, match=words):
        heard(path)


def test_no_file_is_held_open_or_warned_about(tmp_path, tone):
    soundfile.write(tmp_path / "a.mp3", tone, RATE)
    before = len(os.listdir("/proc/self/fd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            heard(tmp_path / "a.mp3")
            AudioReader(RATE).open(tmp_path / "a.mp3", None, "u")
    assert len(os.listdir("/proc/self/fd")) <= before + 2
