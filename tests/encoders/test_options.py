"""Options of the encoder: what is refused, and when training skips."""

import logging

import pytest
import torch
from tiny_encoders import make_ctc, make_encoder, make_feats, splitting_ctc

from espnet_blankskip.upstream import ESPNET

REFUSED = {
    "no_option_of_this_espnet": (
        dict(use_sdpa_of_2040=True),
        f"use_sdpa_of_2040: no option of ESPnet {ESPNET.version}'s ConformerEncoder",
    ),
    "misspelt": (dict(blank_treshold=0.9), "blank_treshold: no option"),
    "gate_at_last_layer": (dict(gate_layers=[5]), r"gate_layers=\[5\].*1\.\.4"),
    "gate_zero": (dict(gate_layers=[0]), r"gate_layers=\[0\].*from 1"),
    "gates_unordered": (dict(gate_layers=[4, 2]), "gate_layers.*ascending"),
    "gate_twice": (dict(gate_layers=[2, 2]), "gate_layers.*ascending"),
    "gate_half": (dict(gate_layers=[2.5]), "gate_layers"),
    "gate_text": (dict(gate_layers="second"), "gate_layers"),
    "threshold_low": (dict(blank_threshold=0.4), "blank_threshold=0.4.*0.5"),
    "threshold_nan": (dict(blank_threshold=float("nan")), "blank_threshold"),
    "threshold_text": (dict(blank_threshold="high"), "blank_threshold"),
    "extension_negative": (dict(spike_extension=-1), "spike_extension=-1.*>= 0"),
    "extension_half": (dict(spike_extension=0.5), "spike_extension=0.5"),
    "extension_text": (dict(spike_extension="wide"), "spike_extension"),
    "conv_context": (dict(conv_context="fresh"), "conv_context=fresh.*stale, zero"),
    "attn_context": (dict(attn_context="none"), "attn_context=none.*kept, all"),
    "train_skip_above_1": (dict(train_skip=1.5), r"train_skip=1.5.*0\.\.1"),
    "train_skip_text": (dict(train_skip="often"), "train_skip=often"),
    "train_skip_nan": (dict(train_skip=float("nan")), "train_skip=nan"),
    "warmup_half": (dict(skip_warmup_steps="1.5"), "skip_warmup_steps=1.5"),
    "warmup_negative": (dict(skip_warmup_steps=-3), "skip_warmup_steps=-3"),
    "warmup_text": (dict(skip_warmup_steps="long"), "skip_warmup_steps=long"),
    "newer_plugin": (
        dict(requires_plugin="99.1"),
        "needs espnet_blankskip 99.1.*pip install",
    ),
    "gate_head": (dict(gate_head="none"), "gate_head=none.*ctc, own"),
    "own_gates": (dict(gate_layers=[2, 4], gate_head="own"), "gate_head=own.*one gate"),
    "legacy_positions": (
        dict(gate_layers=[2], rel_pos_type="legacy"),
        "rel_pos_type=latest",
    ),
    "conv1d_feed_forward": (
        dict(gate_layers=[2], positionwise_layer_type="conv1d"),
        "positionwise_layer_type=linear",
    ),
    "ctc_trim": (
        dict(gate_layers=[2], interctc_layer_idx=[2], ctc_trim=True),
        "ctc_trim",
    ),
}


@pytest.mark.parametrize("options, message", REFUSED.values(), ids=REFUSED)
def test_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(**options)


def test_wrong_gate_at_run_time_is_named_and_changes_nothing():
    encoder = make_encoder(gate_layers=[2])
    with pytest.raises(ValueError, match="blank_threshold"):
        encoder.set_gate(blank_threshold=0.1, spike_extension=3)
    with pytest.raises(ValueError, match="spike_extension"):
        encoder.set_gate(blank_threshold=0.7, spike_extension=-2)
    assert (encoder.blank_threshold, encoder.spike_extension) == (0.95, 1)
    encoder.set_gate(spike_extension=0)
    assert (encoder.blank_threshold, encoder.spike_extension) == (0.95, 0)


@pytest.mark.parametrize(
    "options, ctc, mode, message",
    [
        (dict(gate_layers=[2]), True, "fast", "mode=fast.*skipping, dense"),
        (dict(gate_layers=[2]), False, "skipping", "CTC"),
        ({}, True, "skipping", "gate_layers"),
        ({}, True, "intermediate", "gate_layers"),
    ],
    ids=["unknown", "no_ctc", "no_gate", "no_gate_to_stop_at"],
)
def test_wrong_mode_is_named(options, ctc, mode, message):
    encoder = make_encoder(**options)
    feats, lens = make_feats(40)
    with pytest.raises(ValueError, match=message):
        encoder.encode_frames(feats, lens, make_ctc() if ctc else None, mode)


@pytest.mark.parametrize(
    "given, gates", [(3, [3]), ("3", [3]), ("2,3", [2, 3]), (None, [])]
)
def test_gates_may_be_given_as_a_number_or_as_text(given, gates):
    assert make_encoder(gate_layers=given).gate_layers == gates


def test_without_a_ctc_it_runs_all_layers_and_says_so_once(caplog):
    encoder = make_encoder(gate_layers=[2])
    feats, lens = make_feats(83)
    with caplog.at_level(logging.WARNING):
        (states, _), _, _ = encoder(feats, lens)
        encoder(feats, lens)
    assert states.equal(encoder.encode_frames(feats, lens, mode="dense").states)
    assert [r.message for r in caplog.records if "no CTC" in r.message] == [
        "gate_layers=[2] but the encoder got no CTC: running all layers"
    ]


def skips(encoder, feats, lens, ctc):
    """Whether one more training batch skips: its stage 2 then differs from dense."""
    (_, intermediate), _, _ = encoder(feats, lens, ctc=ctc)
    states = dict(intermediate)
    left = ~encoder.last_kept & (torch.arange(states[2].size(1)) < states[2].size(1))
    return bool(states[3][left].equal(states[2][left]))


@pytest.fixture(params=[True, False], ids=["cnn", "no_cnn"])
def trainable(request):
    """Make a training encoder, and a batch and head whose gate splits frames."""
    feats, lens = make_feats(83, 83)
    architecture = dict(
        gate_layers=[2], interctc_layer_idx=[3], use_cnn_module=request.param
    )
    ctc = splitting_ctc(make_encoder(**architecture), feats, lens)

    def make(**options):
        encoder = make_encoder(**architecture, **options)
        return encoder.train(), feats, lens, ctc

    return make


def test_train_skip_is_on_off_or_a_probability(trainable):
    assert all(skips(*trainable(train_skip=True)) for _ in range(3))
    assert not any(skips(*trainable(train_skip=False)) for _ in range(3))
    batch = trainable(train_skip=0.5)
    share = sum(skips(*batch) for _ in range(60)) / 60
    assert 0.3 < share < 0.7


def test_decoding_skips_whatever_train_skip_says(trainable):
    encoder, feats, lens, ctc = trainable(train_skip=False, skip_warmup_steps=100)
    assert skips(encoder.eval(), feats, lens, ctc)


def test_skipping_starts_after_its_warmup(trainable):
    batch = trainable(skip_warmup_steps=3)
    assert [skips(*batch) for _ in range(5)] == [False, False, False, True, True]


def test_the_kept_ratio_is_known_in_training_without_skipping(trainable):
    encoder, feats, lens, ctc = trainable(train_skip=False)
    encoder(feats, lens, ctc=ctc)
    assert 0 < int(encoder.last_kept.sum()) < encoder.last_kept.numel()


def test_the_gate_takes_no_gradient(trainable):
    encoder, feats, lens, ctc = trainable()
    (states, _), _, _ = encoder(feats, lens, ctc=ctc)
    states.sum().backward()
    assert ctc.ctc_lo.weight.grad is None
