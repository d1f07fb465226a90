"""An unmodified sherpa-onnx loads what was exported for it, and says what we say."""

import numpy as np
import pytest
import soundfile
from speaking_experiment import (
    SPEECH,
    global_mvn,
    needs_speech,
    write_speaking_experiment,
)

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
sherpa_onnx = pytest.importorskip("sherpa_onnx")

from espnet_blankskip.audio.log_mel import LogMel  # noqa: E402
from espnet_blankskip.export.modules import CannotExport  # noqa: E402
from espnet_blankskip.export.package import export_checkpoint  # noqa: E402
from espnet_blankskip.export.sherpa import choose_loader, emphasis_offset  # noqa: E402
from espnet_blankskip.inference import BlankSkipSpeech2Text  # noqa: E402
from espnet_blankskip.runtime import ExportedSpeech2Text  # noqa: E402

pytestmark = needs_speech


def heard_by_sherpa(exported, path):
    """Result of sherpa-onnx, by the loader that the export names."""
    load = getattr(sherpa_onnx.OfflineRecognizer, exported.loader.function)
    folder = exported.folder
    recognizer = load(str(folder / "model.onnx"), str(folder / "tokens.txt"))
    samples, rate = soundfile.read(path, dtype="float32")
    stream = recognizer.create_stream()
    stream.accept_waveform(rate, samples)
    recognizer.decode_stream(stream)
    return stream.result


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
def test_a_waveform_gives_our_transcripts_and_times(factorized, tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp", factorized=factorized)
    exported = export_checkpoint(str(checkpoint), tmp_path / "out", for_sherpa=True)
    want = BlankSkipSpeech2Text(None, checkpoint, fast=False)
    ours = ExportedSpeech2Text(tmp_path / "out")
    for path in SPEECH:
        result, recognized = heard_by_sherpa(exported, path), want(path)
        assert recognized.text and result.text == recognized.text
        assert [t.strip() for t in result.tokens] == recognized.token
        shift, centre = want.clock.shift, want.clock.first_centre
        starts = [start + shift / 2 - centre for start, _ in recognized.times]
        np.testing.assert_allclose(result.timestamps, starts, atol=1e-3)
        assert ours(path).text == recognized.text
    with pytest.raises(ValueError, match="batch_size=2"):
        ExportedSpeech2Text(tmp_path / "out", batch_size="2")


def test_features_of_its_dolphin_loader_are_nearly_ours(tmp_path):
    options = dict(factorized=True, **global_mvn(tmp_path))
    checkpoint = write_speaking_experiment(tmp_path / "exp", **options)
    exported = export_checkpoint(str(checkpoint), tmp_path / "out", for_sherpa=True)
    want = BlankSkipSpeech2Text(None, checkpoint, fast=False)
    for path in SPEECH:
        result = heard_by_sherpa(exported, path)
        ours = want(path).token_int
        assert abs(len(result.tokens) - len(ours)) <= 0.3 * len(ours)


def test_dolphin_offset_is_that_of_its_features():
    """Measured with the library that computes sherpa-onnx's features."""
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    for name, value in dict(
        dither=0, snip_edges=False, frame_length_ms=31.25, remove_dc_offset=False
    ).items():
        setattr(options.frame_opts, name, value)
    options.frame_opts.window_type = "hann"
    for name, value in dict(num_bins=80, low_freq=0, high_freq=8000).items():
        setattr(options.mel_opts, name, value)
    options.mel_opts.is_librosa = True
    fbank = knf.OnlineFbank(options)
    samples = np.random.default_rng(0).normal(0, 0.1, 160000).astype(np.float32)
    fbank.accept_waveform(16000, samples.tolist())
    fbank.input_finished()
    theirs = np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])
    log_mel = LogMel(16000, 512, 160, 512, "hann", True, 80, 0.0, 8000.0, False)
    offset = log_mel(samples).mean(0) - theirs.mean(0)
    np.testing.assert_allclose(emphasis_offset()[2:], offset[2:], atol=0.12)


@pytest.mark.parametrize(
    "changes, word",
    [
        (dict(sample_rate=8000, fmax=4000.0), "no loader hears 8000 Hz"),
        (dict(hop_length=128), r"hop_length=128 \(not 160\)"),
        (dict(n_mels=40), r"n_mels=40 \(not 80\)"),
        (dict(htk=True), "htk=True"),
    ],
)
def test_front_ends_that_no_loader_can_feed_are_named(changes, word):
    known = dict(
        sample_rate=16000,
        n_fft=512,
        hop_length=160,
        win_length=512,
        window="hann",
        center=True,
        n_mels=80,
        fmin=0.0,
        fmax=8000.0,
        htk=False,
    )
    with pytest.raises(CannotExport, match=word):
        choose_loader(LogMel(**{**known, **changes}), None)


def test_frames_that_do_not_fit_the_loaders_clock_are_named(tmp_path):
    front_end = dict(fs="16k", n_fft=512, hop_length=128, n_mels=80)
    checkpoint = write_speaking_experiment(tmp_path / "exp", front_end)
    with pytest.raises(CannotExport, match="32 ms are no multiple of the 20 ms"):
        export_checkpoint(str(checkpoint), tmp_path / "out", for_sherpa=True)


def test_audio_too_short_for_a_frame_is_empty_and_no_crash(tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp")
    exported = export_checkpoint(str(checkpoint), tmp_path / "out", for_sherpa=True)
    for samples in (3, 200, 900, 1120):
        path = tmp_path / f"{samples}.wav"
        soundfile.write(path, np.zeros(samples), 16000)
        assert heard_by_sherpa(exported, path).text == ""
