"""Recognition with the real encoder on real speech (contract 3, 4, 7, 9, 10)."""

import io
from argparse import Namespace

import numpy as np
import pytest
import soundfile
import soxr
import torch
import yaml
from real_speech import digits
from search_extra import needs_search
from tiny_experiment import TOKENS, train_config, write_experiment

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.decoding.greedy import greedy_on_full_output
from espnet_blankskip.decoding.kept_frames import encode
from espnet_blankskip.decoding.search_options import SearchOptions
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference import BlankSkipSpeech2Text

RATE = 8000


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
        assert 0 < result.encoder_seconds < result.total_seconds
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
    "samples, words",
    [
        (np.zeros(RATE, dtype=np.uint8), "uint8"),
        (np.zeros((2, RATE)), "transpose"),
        (np.full(RATE, np.nan), "NaN"),
        (np.zeros(0), "empty"),
        (np.zeros(1), "too short: 1 samples"),
    ],
)
def test_bad_audio_names_the_utterance(speech2text, samples, words):
    with pytest.raises(BadAudio, match=f"utterance 'u2'.*{words}"):
        speech2text(samples, RATE, utt_id="u2")


def test_a_path_pcm_stereo_and_another_rate_say_the_same(speech2text, speech, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, speech[0], RATE)
    from_path = speech2text(path)
    pcm = soundfile.read(path, dtype="int16")[0]
    assert speech2text(pcm).nbest == from_path.nbest
    assert speech2text(np.stack([pcm, pcm], axis=1), RATE).nbest == from_path.nbest
    faster = soxr.resample(speech[0], RATE, 48000)
    resampled = speech2text(faster, 48000)
    assert resampled.audio_seconds == pytest.approx(from_path.audio_seconds, abs=1e-3)
    assert len(resampled.depth) == len(from_path.depth)
    expected = speech2text(soxr.resample(faster, 48000, RATE))
    assert resampled.token_int == expected.token_int


def test_a_list_holds_anything_and_comes_back_in_order(speech2text, speech, tmp_path):
    soundfile.write(tmp_path / "a.flac", speech[3], RATE, subtype="PCM_24")
    results = speech2text([speech[0], tmp_path / "a.flac", torch.tensor(speech[2])])
    assert [r.audio_seconds * RATE for r in results] == pytest.approx(
        [len(speech[0]), len(speech[3]), len(speech[2])]
    )
    assert results[1].token_int == speech2text(speech[3]).token_int


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_bad_one_stops_a_list_or_comes_back_in_its_place(
    speech2text, speech, tmp_path, batch_size
):
    missing, loud = tmp_path / "missing.wav", np.full(RATE, np.inf)
    batch = [speech[0], missing, loud, speech[1]]
    with pytest.raises(BadAudio, match="missing.wav': no such audio file"):
        speech2text.batch_decode(batch, batch_size)
    with pytest.raises(BadAudio, match="'utterance 1': .*infinite"):
        speech2text.batch_decode([speech[0], loud], batch_size)
    results = speech2text.batch_decode(batch, batch_size, on_error="return")
    assert [type(r).__name__ for r in results] == [
        "Recognition",
        "BadAudio",
        "BadAudio",
        "Recognition",
    ]
    assert results[3].token_int == speech2text(speech[1]).token_int
    with pytest.raises(ValueError, match="on_error=skip must be raise or return"):
        speech2text.batch_decode(batch, on_error="skip")


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_batch_is_never_lost_when_errors_are_returned(
    speech2text, speech, tmp_path, batch_size
):
    soundfile.write(tmp_path / "a.wav", speech[0], RATE)
    late = np.tile(speech[0], 20)
    late[-5] = np.nan  # after windows that were decoded already
    batch = [
        (tmp_path / "a.wav").open("rb"),
        io.BytesIO((tmp_path / "a.wav").read_bytes()),
        torch.from_numpy(speech[0]).bfloat16(),
        speech[0].astype(">f4"),
        np.round(speech[0] * 2**15).astype(">i2"),
        speech[0] * np.nan,
        late,
        io.StringIO("no bytes"),
        float("nan"),
        None,
        [0.1, "a"],
        object(),
    ]
    expected = speech2text(speech[0]).token_int
    results = speech2text.batch_decode(
        (item for item in batch),
        batch_size,
        utt_ids=iter(["first", "second"]),
        on_error="return",
    )
    assert [type(r).__name__ for r in results[:5]] == ["Recognition"] * 5
    for i in (0, 1, 3, 4):
        assert results[i].token_int == expected
    assert [type(r).__name__ for r in results[5:]] == ["BadAudio"] * 7
    assert [r.utt_id for r in results[5:]] == [f"utterance {i}" for i in range(5, 12)]


def test_words_and_n_best_are_of_the_same_reading(files, speech):
    pytest.importorskip("flashlight.lib.text")
    result = BlankSkipSpeech2Text(*files, beam_size=8, nbest=3)(speech[0])
    assert len(result.nbest) == 3
    found = [h.score for h in result.nbest]
    assert found == sorted(found, reverse=True)
    for name in ("text", "token", "token_int", "score", "times", "confidence", "words"):
        assert getattr(result, name) == getattr(result.nbest[0], name)
    for hypothesis in result.nbest:
        assert [w.text for w in hypothesis.words] == hypothesis.token
        assert [(w.start, w.end) for w in hypothesis.words] == list(hypothesis.times)
        assert all(0 <= w.confidence <= 1 for w in hypothesis.words)


def test_pretrained_is_the_checkpoint_and_takes_its_options(files, speech):
    folder = files[0].parent
    pretrained = BlankSkipSpeech2Text.from_pretrained(folder, mode="dense")
    assert pretrained.mode == "dense"
    expected = BlankSkipSpeech2Text(*files, mode="dense")(speech[0])
    assert pretrained(speech[0]).nbest == expected.nbest


def test_fast_arithmetic_changes_nothing_that_is_heard(files, speech):
    fast, plain = (BlankSkipSpeech2Text(*files, fast=f) for f in (True, False))
    for samples in speech:
        one, other = fast(samples), plain(samples)
        assert one.token_int == other.token_int
        assert np.array_equal(one.depth, other.depth)
        assert one.score == pytest.approx(other.score, abs=1e-2)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(device="tpu"), "device=tpu must be cpu, cuda or cuda:N"),
        (dict(dtype="float16"), "dtype=float16 must be one of float32"),
        (dict(dtype="bfloat16", fast=False), "bfloat16 needs fast=True"),
        (dict(batch_size=0), "batch_size=0 must be at least 1"),
        (dict(channel=-1), "channel=-1"),
        (dict(channel=0.5), "channel=0.5 must be a whole number"),
        (dict(batch_size="1.5"), "batch_size=1.5 must be a whole number"),
        (dict(window_seconds="long"), "window_seconds=long must be a number"),
        (dict(window_seconds=3), "overlap_seconds=4"),
        (dict(beam_size=0), "beam_size=0"),
        (dict(nbest=2), "nbest=2"),
        (dict(asr_model_file=None), "asr_model_file must be given"),
    ],
)
def test_wrong_options_are_named(files, options, words):
    paths = dict(asr_train_config=files[0], asr_model_file=files[1])
    with pytest.raises(ValueError, match=words):
        BlankSkipSpeech2Text(**{**paths, **options})


def test_no_gpu_is_said(files, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device=cuda: torch sees no GPU"):
        BlankSkipSpeech2Text(*files, device="cuda")


STOCK_PARTS = {
    "transformer": dict(encoder="transformer", encoder_conf=dict(num_blocks=2)),
    "branchformer": dict(encoder="branchformer", encoder_conf=dict(num_blocks=2)),
    "hybrid": dict(
        encoder="conformer",
        encoder_conf=dict(num_blocks=2, rel_pos_type="latest", cnn_module_kernel=7),
        decoder="transformer",
        decoder_conf=dict(num_blocks=1, attention_heads=2, linear_units=16),
        model_conf=dict(ctc_weight=0.3),
    ),
    "eightfold subsampling": dict(
        encoder="conformer",
        encoder_conf=dict(num_blocks=2, rel_pos_type="legacy", input_layer="conv2d8"),
    ),
}


@pytest.mark.parametrize("kind", STOCK_PARTS)
def test_any_checkpoint_with_a_ctc_is_read_densely(kind, tmp_path, speech):
    parts = dict(STOCK_PARTS[kind])
    sizes = dict(output_size=16, attention_heads=2)
    if parts["encoder"] != "branchformer":
        sizes["linear_units"] = 32
    else:
        sizes.update(cgmlp_linear_units=32, cgmlp_conv_kernel=7)
    parts["encoder_conf"] = dict(sizes, **parts["encoder_conf"])
    stock = BlankSkipSpeech2Text(*write_experiment(tmp_path, skipping=False, **parts))
    assert stock.mode == "dense"
    batched = stock.batch_decode(speech, batch_size=4)
    for samples, result in zip(speech, batched):
        lens = torch.tensor([len(samples)])
        with torch.no_grad():
            states = stock.asr_model.encode(torch.from_numpy(samples)[None], lens)[0]
            full = greedy_on_full_output(stock.asr_model.ctc.log_softmax(states)[0])
        assert result.token_int == full.token_int
        assert result.kept_ratio == 1.0


@pytest.mark.parametrize(
    "joint_network, words", [(None, "a model trained"), (object(), "a transducer")]
)
def test_a_model_without_ctc_is_refused(joint_network, words):
    model = Namespace(ctc=None, joint_network=joint_network)
    with pytest.raises(ValueError, match=f"{words}.* with ctc_weight=0 has no CTC"):
        BlankSkipSpeech2Text(loaded=(model, Namespace()))


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
    with pytest.raises(ValueError, match="mode=fast must be one of: skipping"):
        BlankSkipSpeech2Text(*files, mode="fast")
    with pytest.raises(TypeError, match="blank_treshold: no option of BlankSkip"):
        BlankSkipSpeech2Text(*files, blank_treshold=0.9)


@needs_search
def test_options_are_given_whole_or_by_name(files):
    gate = GateOptions(blank_threshold=0.9, spike_extension=2)
    search = SearchOptions(4, nbest=2)
    by_name = dict(blank_threshold="0.7", batch_size=np.int64(2), nbest="3")
    recognizer = BlankSkipSpeech2Text(*files, gate=gate, search=search, **by_name)
    found = recognizer.gate_options
    assert (found.blank_threshold, found.spike_extension) == (0.7, 2)
    assert (found.mode, recognizer.batch_size) == ("skipping", 2)
    assert recognizer.search_options == SearchOptions(4, nbest=3)
    experiment = files[1].parent
    found = BlankSkipSpeech2Text.from_pretrained(experiment, search=search, nbest=3)
    assert found.search_options == SearchOptions(4, nbest=3)


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
        ({"weight": Payload()}, "would run code when loaded"),
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


POST_ENCODER = dict(
    postencoder="length_adaptor", postencoder_conf=dict(length_adaptor_n_layers=1)
)


def test_a_post_encoder_behind_a_skipping_encoder_is_refused_by_name(tmp_path):
    files = write_experiment(tmp_path, **POST_ENCODER)
    with pytest.raises(ValueError, match="postencoder=LengthAdaptor.*asr_inference"):
        BlankSkipSpeech2Text(*files)


def test_a_post_encoder_behind_a_stock_encoder_is_heard(tmp_path, speech):
    files = write_experiment(tmp_path, skipping=False, **POST_ENCODER)
    speech2text = BlankSkipSpeech2Text(*files)
    model = speech2text.asr_model
    with torch.no_grad():
        model.ctc.ctc_lo.bias[0] -= 10.0
        result = speech2text(speech[0])
        lens = torch.tensor([len(speech[0])])
        states, lens = model.encode(torch.from_numpy(speech[0])[None], lens)
        want = greedy_on_full_output(model.ctc.log_softmax(states)[0])
    assert result.token_int == want.token_int != []
    assert len(result.depth) == int(lens)
    assert result.times[-1][1] <= result.audio_seconds + 1e-6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(files, tmp_path, value):
    config, weights = files
    state = torch.load(weights)
    name = "encoder.encoders.1.feed_forward.w_2.bias"
    state[name][3] = value
    torch.save(state, tmp_path / "broken.pth")
    match = f"weight {name}: 1 of 16 values are NaN or infinite"
    with pytest.raises(ValueError, match=match):
        BlankSkipSpeech2Text(config, tmp_path / "broken.pth")
