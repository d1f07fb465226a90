"""What ``blankskip export`` writes is what the runtime needs, and says what it is."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from graph_runs import open_in_onnxruntime
from speaking_experiment import (
    SPEECH,
    global_mvn,
    needs_speech,
    read_json,
    write_speaking_experiment,
)

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

from search_extra import needs_search

from espnet_blankskip.export.features import Features  # noqa: E402
from espnet_blankskip.export.graph import Graph  # noqa: E402
from espnet_blankskip.export.model import FLOAT, INT  # noqa: E402
from espnet_blankskip.export.modules import CannotExport  # noqa: E402
from espnet_blankskip.export.package import export_checkpoint  # noqa: E402
from espnet_blankskip.inference import BlankSkipSpeech2Text  # noqa: E402
from espnet_blankskip.runtime import ExportedSpeech2Text  # noqa: E402
from espnet_blankskip.runtime.manifest import Manifest  # noqa: E402
from espnet_blankskip.upstream import model_part  # noqa: E402
from espnet_blankskip.zoo.archive import open_checkpoint  # noqa: E402
from espnet_blankskip.zoo.errors import CheckpointError  # noqa: E402

pytestmark = needs_speech

FRONT_ENDS = {
    "16k": dict(fs="16k", n_fft=512, hop_length=160, n_mels=80),
    "8k": dict(fs="8k", n_fft=256, win_length=200, hop_length=80, n_mels=20),
    "htk": dict(fs="16k", n_fft=400, hop_length=128, fmin=80, fmax=7600, htk=True),
    "uncentred": dict(fs="16k", n_fft=512, center=False, window="hamming"),
}


def assert_same_recognition(got, want):
    """All that a recognition holds, but for the time it took."""
    assert got.text == want.text
    assert got.token_int == want.token_int
    assert got.times == want.times
    assert got.words == pytest.approx(want.words) or len(got.words) == len(want.words)
    assert np.array_equal(got.depth, want.depth)
    assert got.kept_frames == want.kept_frames
    assert got.score == pytest.approx(want.score, abs=1e-2)
    np.testing.assert_allclose(got.confidence, want.confidence, atol=1e-3)
    if want.blank_prob is not None:
        np.testing.assert_allclose(got.blank_prob, want.blank_prob, atol=1e-4)


@pytest.mark.parametrize("case", [*FRONT_ENDS, "global_mvn", "norm_vars", "volume"])
def test_runtime_hears_what_torch_hears(case, tmp_path):
    options = dict(frontend_conf=FRONT_ENDS.get(case))
    if case == "global_mvn":
        options.update(global_mvn(tmp_path))
    if case == "norm_vars":
        options["normalize_conf"] = dict(norm_vars=True)
    if case == "volume":
        options["speech_volume_normalize"] = 0.5
    checkpoint = write_speaking_experiment(tmp_path / "exp", factorized=True, **options)
    want = BlankSkipSpeech2Text(None, checkpoint, fast=False).batch_decode(SPEECH)
    assert 0.1 < want[0].kept_ratio < 0.9 and want[0].text
    for waveform in (False, True):
        out = tmp_path / f"waveform_{waveform}"
        export_checkpoint(str(checkpoint), out, with_frontend=waveform)
        got = ExportedSpeech2Text(out)
        assert_same_recognition(got(SPEECH[0]), want[0])
        for one, alone in zip(got.batch_decode(SPEECH, batch_size=3), want):
            assert_same_recognition(one, alone)


def test_manifest_names_source_gate_versions_and_files(tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp")
    export_checkpoint(str(checkpoint), tmp_path / "out", gate=dict(spike_extension=2))
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["source"] == str(checkpoint)
    assert manifest["gate"]["gate_layers"] == [2]
    assert manifest["gate"]["spike_extension"] == 2
    assert set(manifest["files"]) == {"model.onnx", "tokens.txt"}
    assert {"espnet_blankskip", "espnet", "torch", "onnx"} <= set(manifest["versions"])
    lines = (tmp_path / "out" / "tokens.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "<blk> 0" and lines[2] == "▁one 2"
    with pytest.raises(FileExistsError, match="no empty folder"):
        export_checkpoint(str(checkpoint), tmp_path / "out")


def test_missing_and_altered_files_are_named(tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp")
    export_checkpoint(str(checkpoint), tmp_path / "out")
    model = tmp_path / "out" / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + b"x")
    with pytest.raises(ValueError, match="model.onnx is not the file that was exp"):
        ExportedSpeech2Text(tmp_path / "out")
    model.unlink()
    with pytest.raises(FileNotFoundError, match="model.onnx is missing"):
        ExportedSpeech2Text(tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="has no manifest.json"):
        ExportedSpeech2Text(tmp_path / "exp")


@pytest.mark.parametrize(
    "options, word",
    [
        (dict(frontend_conf=dict(window="bartlett")), "window=bartlett"),
        (dict(token_type="whisper_en"), "token_type=whisper_en"),
    ],
)
def test_parts_that_no_runtime_has_are_refused_by_name(options, word, tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp", **options)
    with pytest.raises(CannotExport, match=word):
        export_checkpoint(str(checkpoint), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_export_leaves_nothing_in_the_way_of_the_next(tmp_path, monkeypatch):
    checkpoint, out = write_speaking_experiment(tmp_path / "exp"), tmp_path / "out"
    with monkeypatch.context() as failing:
        full = OSError(errno.ENOSPC, "No space left on device")
        failing.setattr(Manifest, "write", lambda *_: (_ for _ in ()).throw(full))
        with pytest.raises(OSError, match="No space left"):
            export_checkpoint(str(checkpoint), out)
    assert not list(out.iterdir())
    export_checkpoint(str(checkpoint), out)
    assert {path.name for path in tmp_path.iterdir()} == {"exp", "out"}
    with pytest.raises(CheckpointError, match="blankskip export wrote it"):
        open_checkpoint(str(out))


def test_options_that_are_fixed_in_the_graph_say_so(tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp")
    export_checkpoint(str(checkpoint), tmp_path / "out")
    speech2text = ExportedSpeech2Text(tmp_path / "out", gate_layers=[2])
    for options, word in (
        (dict(gate_layers=[3]), r"gate_layers=\[3\] is \[2\].*--gate-layers"),
        (dict(conv_context="zero"), "conv_context=zero is stale"),
        (dict(blank_threshold=0.3), "blank_threshold=0.3 must be at least 0.5"),
    ):
        with pytest.raises(ValueError, match=word):
            speech2text.set_gate(**options)
    for options, word in (
        (dict(mode="intermediate"), "must be skipping or dense"),
        (dict(dtype="int8"), "exported as float32"),
        (dict(dtype="bfloat16"), "engine=openvino has bfloat16"),
        (dict(device="cuda"), "device=cuda"),
        (dict(engine="tensorrt"), "must be one of onnxruntime, openvino"),
    ):
        with pytest.raises(ValueError, match=word):
            ExportedSpeech2Text(tmp_path / "out", **options)
    dense = ExportedSpeech2Text(tmp_path / "out", mode="dense")(SPEECH[0])
    assert dense.kept_ratio == 1.0


@needs_search
def test_audio_of_any_kind_ends_as_in_the_recognizer(tmp_path):
    checkpoint = write_speaking_experiment(tmp_path / "exp", factorized=True)
    export_checkpoint(str(checkpoint), tmp_path / "out")
    options = dict(window_seconds=3.0, overlap_seconds=1.0, beam_size=4, nbest=2)
    want = BlankSkipSpeech2Text(None, checkpoint, fast=False, **options)
    got = ExportedSpeech2Text(tmp_path / "out", **options)
    samples, _ = soundfile.read(SPEECH[0], dtype="float32")
    speeches = {
        "windows": np.concatenate([samples, samples]),
        "silence": np.zeros(16000, np.float32),
        "one frame": samples[:1120],
        "too short": samples[:300],
        "not a number": np.where(np.arange(16000) == 7, np.nan, samples[:16000]),
        "empty": samples[:0],
        "stereo": np.stack([samples, samples], 1),
    }
    arrays, names = list(speeches.values()), list(speeches)
    results = [
        r.batch_decode(arrays, utt_ids=names, on_error="return") for r in (got, want)
    ]
    for ours, theirs in zip(*results):
        if isinstance(theirs, Exception):
            assert str(ours) == str(theirs)
        else:
            assert_same_recognition(ours, theirs)
    ours, theirs = (r(samples[::2], rate=8000) for r in (got, want))
    assert_same_recognition(ours, theirs)


@pytest.mark.parametrize("norm_vars", [False, True])
def test_the_mean_of_a_long_utterance_is_as_exact_as_torch_takes_it(norm_vars):
    """Half a minute of log-mel near -12: a plain sum of float32 loses four digits."""
    normalize = model_part("normalize", "utterance_mvn")(norm_vars=norm_vars)
    model = SimpleNamespace(normalize=normalize, preencoder=None)
    g = Graph("features")
    x = g.input("x", FLOAT, ["N", "T", 80])
    y, _ = Features(model, False)(g, x, g.input("lens", INT, ["N"]))
    g.output("y", y, FLOAT, ["N", "T", 80])
    rng = np.random.default_rng(0)
    feats = (rng.standard_normal((2, 3000, 80)) - 12).astype(np.float32)
    lens = np.array([3000, 1700])
    got = open_in_onnxruntime(g.to_model({}))(feats, lens)["y"]
    for row, normed, size in zip(feats.astype(np.float64), got, lens):
        want = row[:size] - row[:size].mean(0)
        want = want / want.std(0) if norm_vars else want
        np.testing.assert_allclose(normed[:size], want, atol=3e-6)
