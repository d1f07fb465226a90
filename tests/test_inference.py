"""Recognition with the real encoder on real speech (contract 3, 4, 7, 9, 10)."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_experiment import TOKENS, train_config, write_experiment

from espnet_blankskip.audio import BadAudio
from espnet_blankskip.decoding.greedy import greedy_on_full_output
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.inference import BlankSkipSpeech2Text

FSDD = Path(
    os.environ.get("FSDD")
    or Path(__file__).resolve().parents[2] / "shared" / "data" / "fsdd"
)
RATE = 8000


def digits(*names) -> np.ndarray:
    """Spoken digits (S,), joined."""
    found = [next(iter(FSDD.rglob(f"{name}.wav")), None) for name in names]
    if None in found:
        pytest.skip(f"no spoken digits in {FSDD}; set FSDD to have this tested")
    return np.concatenate([soundfile.read(f, dtype="float32")[0] for f in found])


@pytest.fixture(scope="module")
def speech():
    return [
        digits("1_george_0", "2_george_1", "9_george_2", "0_george_3"),
        digits("7_lucas_0"),
        digits("5_nicolas_0", "5_nicolas_1"),
        digits("3_jackson_0", "8_jackson_4", "6_jackson_2"),
    ]


@pytest.fixture(scope="module", params=["plain", "factorized"])
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return write_experiment(folder, factorized=request.param == "factorized")


@pytest.fixture
def speech2text(files):
    return BlankSkipSpeech2Text(*files)


def test_tokens_are_those_of_the_full_output(speech2text, speech):
    for samples in speech:
        result = speech2text(samples, RATE)
        assert 0 < result.kept_ratio < 1, "the test needs both kinds of frames"
        model = speech2text.asr_model
        with torch.no_grad():
            encoded = encode(
                model,
                torch.from_numpy(samples)[None],
                torch.tensor([len(samples)]),
                "skipping",
            )
            full = greedy_on_full_output(model.ctc.log_softmax(encoded.states)[0])
        assert result.token_int == full.token_int
        assert result.score == pytest.approx(full.score, abs=1e-3)
        assert len(result.times) == len(result.token)
        assert result.text == " ".join(TOKENS[i] for i in full.token_int)


def test_output_length_and_depth_of_each_mode(speech2text, speech):
    depths = {}
    for mode in ("skipping", "dense", "intermediate"):
        speech2text.set_mode(mode)
        depths[mode] = speech2text(speech[0]).depth
    assert set(depths["dense"]) == {4}
    assert set(depths["intermediate"]) == {2}
    assert set(depths["skipping"]) == {2, 4}
    assert len({len(d) for d in depths.values()}) == 1


def test_threshold_above_one_is_dense(files, speech):
    skipping = BlankSkipSpeech2Text(*files, blank_threshold=1.1)
    dense = BlankSkipSpeech2Text(*files, mode="dense")
    for samples in speech:
        assert skipping(samples).token_int == dense(samples).token_int
        assert skipping(samples).kept_ratio == 1.0


@pytest.mark.parametrize("mode", ["skipping", "dense", "intermediate"])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batched_is_single_in_the_order_given(speech2text, speech, mode, batch_size):
    speech2text.set_mode(mode)
    batch = speech2text.batch_decode(speech, batch_size=batch_size)
    for samples, result in zip(speech, batch):
        single = speech2text.best_path(samples)
        assert result.token_int == single.token_int
        assert result.times == single.times
        assert np.array_equal(result.depth, single.depth)
        assert result.score == pytest.approx(single.score, abs=1e-3)
        assert result.audio_seconds == len(samples) / RATE


def test_tensor_and_float64_are_taken(files, speech):
    single = BlankSkipSpeech2Text(*files)(torch.from_numpy(speech[0]))
    double = BlankSkipSpeech2Text(*files, dtype="float64")(speech[0].astype("float64"))
    assert single.token_int == double.token_int


def test_shortest_audio_gives_one_frame_and_less_is_refused(speech2text):
    samples = np.random.default_rng(1).normal(0, 0.1, speech2text.min_samples)
    assert len(speech2text(samples).depth) == 1
    with pytest.raises(BadAudio, match="utterance 'u1': too short"):
        speech2text(samples[1:], utt_id="u1")


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.full(RATE, 1e-9)])
def test_silence_works(speech2text, samples):
    assert np.isfinite(speech2text(samples).score)


@pytest.mark.parametrize(
    "samples, rate, words",
    [
        (np.zeros(RATE), 16000, "16000 Hz but the model expects 8000 Hz"),
        (np.zeros(RATE, dtype=np.int16), RATE, "int16"),
        (np.zeros((RATE, 2)), RATE, "one channel"),
        (np.full(RATE, np.nan), RATE, "NaN"),
        (np.zeros(0), RATE, "empty"),
    ],
)
def test_bad_audio_names_the_utterance(speech2text, samples, rate, words):
    with pytest.raises(BadAudio, match=f"utterance 'u2'.*{words}"):
        speech2text(samples, rate, utt_id="u2")


def test_stock_conformer_is_read_densely(tmp_path, speech):
    files = write_experiment(tmp_path, skipping=False)
    stock = BlankSkipSpeech2Text(*files, mode="dense")
    result = stock(speech[0])
    assert result.kept_ratio == 1.0 and result.blank_prob is None
    with torch.no_grad():
        lens = torch.tensor([len(speech[0])])
        states, _ = stock.asr_model.encode(torch.from_numpy(speech[0])[None], lens)
        full = greedy_on_full_output(stock.asr_model.ctc.log_softmax(states)[0])
    assert result.token_int == full.token_int
    with pytest.raises(ValueError, match="mode=skipping needs .* gate_layers"):
        stock.set_mode("skipping")
    with pytest.raises(ValueError, match="blank_threshold.*no gate"):
        stock.set_gate(blank_threshold=0.9)


def test_wrong_gate_option_names_its_range(files):
    with pytest.raises(ValueError, match="blank_threshold=0.2 must be at least 0.5"):
        BlankSkipSpeech2Text(*files, blank_threshold=0.2)
    with pytest.raises(ValueError, match="mode=fast must be one of skipping"):
        BlankSkipSpeech2Text(*files, mode="fast")


def _drop(state):
    del state["encoder.encoders.3.norm_mha.weight"]


def _add(state):
    state["decoder.embed.weight"] = torch.zeros(2)


def _reshape(state):
    state["encoder.after_norm.weight"] = torch.zeros(3)


def _other_vocabulary(state):
    state["ctc.ctc_lo.bias"] = torch.zeros(30)


@pytest.mark.parametrize(
    "change, words",
    [
        (_drop, "missing weights: encoder.encoders.3.norm_mha.weight"),
        (_add, "unexpected weights: decoder.embed.weight"),
        (_reshape, r"encoder.after_norm.weight \(3,\) instead of \(16,\)"),
        (_other_vocabulary, "another vocabulary"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused_by_name(tmp_path, change, words):
    config, model = write_experiment(tmp_path)
    state = torch.load(model, weights_only=True)
    change(state)
    torch.save(state, model)
    with pytest.raises(ValueError, match=words):
        BlankSkipSpeech2Text(config, model)


class Payload:
    """Something that plain weights never hold."""


@pytest.mark.parametrize(
    "content, words",
    [
        ({"model": {}, "optimizers": []}, "trainer's resume file"),
        ({"weight": Payload()}, "cannot be read as plain weights"),
    ],
)
def test_other_pth_files_are_refused(tmp_path, content, words):
    config, model = write_experiment(tmp_path)
    torch.save(content, model)
    with pytest.raises(ValueError, match=words):
        BlankSkipSpeech2Text(config, model)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"token_list": None}, "lacks 'token_list'"),
        ({"encoder": "no_such_encoder"}, "no_such_encoder"),
    ],
)
def test_wrong_config_is_named(tmp_path, change, words):
    config, model = write_experiment(tmp_path)
    config.write_text(yaml.safe_dump({**train_config(), **change}))
    with pytest.raises(ValueError, match=words) as error:
        BlankSkipSpeech2Text(config, model)
    assert str(config) in str(error.value)


def test_missing_files_are_named(tmp_path):
    config, model = write_experiment(tmp_path)
    with pytest.raises(FileNotFoundError, match="--asr_model_file.*nowhere.pth"):
        BlankSkipSpeech2Text(config, tmp_path / "nowhere.pth")
    with pytest.raises(FileNotFoundError, match="--asr_train_config.*nowhere.yaml"):
        BlankSkipSpeech2Text(tmp_path / "nowhere.yaml", model)
