"""A model built without ESPnet's task is the one that the task builds."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from tiny_experiment import ENCODER_CONF, SKIPPING, TOKENS, train_config

from espnet_blankskip.audio.mel_filters import mel_filters
from espnet_blankskip.checkpoint.model_building import build_asr_model, part_classes
from espnet_blankskip.upstream import asr_task

BRANCHES = dict(
    output_size=16,
    attention_heads=2,
    attention_layer_type="rel_selfattn",
    pos_enc_layer_type="rel_pos",
    rel_pos_type="latest",
    cgmlp_linear_units=32,
    cgmlp_conv_kernel=7,
    num_blocks=2,
)
PLAIN = dict(output_size=16, attention_heads=2, linear_units=32, num_blocks=2)

CONFIGS = {
    "skipping conformer": train_config(),
    "factorized with interCTC": train_config(factorized=True),
    "stock conformer": train_config(skipping=False),
    "depthwise input layer": train_config(
        encoder_conf=dict(ENCODER_CONF, **SKIPPING, input_layer="dw_conv2d8")
    ),
    "own gate head": train_config(
        encoder_conf=dict(ENCODER_CONF, **SKIPPING, gate_head="own")
    ),
    "skipping e_branchformer": train_config(
        encoder="blankskip_e_branchformer",
        encoder_conf=dict(BRANCHES, gate_layers=[1], linear_units=32),
    ),
    "stock e_branchformer": train_config(
        skipping=False,
        encoder="e_branchformer",
        encoder_conf=dict(BRANCHES, linear_units=32),
    ),
    "branchformer": train_config(
        skipping=False, encoder="branchformer", encoder_conf=BRANCHES
    ),
    "transformer": train_config(
        skipping=False, encoder="transformer", encoder_conf=PLAIN
    ),
    "hybrid with specaug": train_config(
        decoder="transformer",
        decoder_conf=dict(attention_heads=2, linear_units=32, num_blocks=1),
        model_conf=dict(ctc_weight=0.3, lsm_weight=0.1),
        specaug="specaug",
        specaug_conf=dict(time_warp_window=5, time_mask_width_range=[0, 10]),
    ),
    "no normalization, HTK mel": train_config(
        normalize=None,
        frontend_conf=dict(fs=16000, n_fft=400, hop_length=160, fmin=80, htk=True),
    ),
    "features in, linear pre-encoder": train_config(
        input_size=24,
        preencoder="linear",
        preencoder_conf=dict(input_size=24, output_size=20),
    ),
    "initialized": train_config(init="xavier_uniform"),
}
ONLY_TASK = {
    "front-end": train_config(frontend="sliding_window"),
    "no front-end": train_config(frontend=None),
    "decoder": train_config(decoder="rnn", decoder_conf={}),
    "post-encoder": train_config(postencoder="length_adaptor", postencoder_conf={}),
    "encoder": train_config(encoder="vgg_rnn", encoder_conf={}),
    "unknown encoder": train_config(encoder="conformist"),
    "model": train_config(model="maskctc"),
    "several blanks": train_config(
        model_conf=dict(transducer_multi_blank_durations=[2])
    ),
}


def both(config):
    """Our model and the task's, with the same weights."""
    assert part_classes(Namespace(**config)) is not None, "went to the task after all"
    ours = build_asr_model(Namespace(**config)).eval()
    theirs = asr_task().build_model(Namespace(**config)).eval()
    return ours, theirs


@pytest.mark.parametrize("name", CONFIGS)
def test_same_weights_same_output_as_the_tasks_model(name):
    config = CONFIGS[name]
    ours, theirs = both(config)
    assert type(ours) is type(theirs)
    assert str(ours) == str(theirs)
    shapes = {k: v.shape for k, v in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == shapes
    ours.load_state_dict(theirs.state_dict())
    width = config["input_size"]
    speech = torch.randn(1, 8000) if width is None else torch.randn(1, 90, width)
    lens = torch.tensor([speech.shape[1]])
    with torch.no_grad():
        outputs = [model.encode(speech, lens) for model in (ours, theirs)]
    states = [s if torch.is_tensor(s) else s[0] for s, _ in outputs]
    assert torch.equal(*(n for _, n in outputs))
    # Not bit for bit: how memory is aligned changes a sum, even in one model twice.
    scores = [m.ctc.log_softmax(s) for m, s in zip((ours, theirs), states)]
    torch.testing.assert_close(*scores, atol=1e-5, rtol=1e-5)


def test_statistics_and_token_list_are_read_from_their_files(tmp_path):
    stats, tokens = tmp_path / "feats_stats.npz", tmp_path / "tokens.txt"
    np.savez(stats, count=100, sum=np.arange(20.0), sum_square=1000 + np.arange(20.0))
    tokens.write_text("".join(f"{token}\n" for token in TOKENS))
    ours, theirs = both(
        train_config(
            token_list=str(tokens),
            normalize="global_mvn",
            normalize_conf=dict(stats_file=str(stats)),
        )
    )
    assert ours.token_list == theirs.token_list == TOKENS
    assert torch.equal(ours.normalize.mean, theirs.normalize.mean)
    assert torch.equal(ours.normalize.std, theirs.normalize.std)


@pytest.mark.parametrize("name", ONLY_TASK)
def test_uncommon_parts_are_left_to_the_task(name, monkeypatch):
    config = ONLY_TASK[name]
    assert part_classes(Namespace(**config)) is None
    asked = []
    monkeypatch.setattr(asr_task(), "build_model", lambda args: asked.append(args))
    build_asr_model(Namespace(**config))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(frontend_conf=dict(warp=1)), "warp"),
        (dict(encoder_conf=dict(ENCODER_CONF, gate_layers=[9])), "gate_layers"),
    ],
)
def test_wrong_options_are_refused_as_by_the_task(change, words):
    config = train_config(**change)
    for build in (build_asr_model, asr_task().build_model):
        with pytest.raises((TypeError, ValueError), match=words):
            build(Namespace(**config))


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize(
    "rate, n_fft, n_mels, fmin, fmax",
    [
        (16000, 512, 80, 0, 8000.0),
        (8000, 256, 40, 0, 4000.0),
        (16000, 400, 23, 80, 7600),
        (44100, 2048, 128, 1200, None),
        (8000, 512, 1, 0, 900),
    ],
)
def test_mel_filters_are_librosas(rate, n_fft, n_mels, fmin, fmax, htk):
    import librosa

    options = dict(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk)
    ours, theirs = mel_filters(**options), librosa.filters.mel(**options)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * theirs.max())


def test_espnet_gets_its_librosa_back():
    from espnet2.layers import log_mel

    with pytest.raises(TypeError):
        build_asr_model(Namespace(**train_config(frontend_conf=dict(warp=1))))
    assert log_mel.librosa.__name__ == "librosa"
