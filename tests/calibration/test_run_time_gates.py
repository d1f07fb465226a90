"""Gates can be moved at run time, among the layers whose blanks a head can read."""

import pytest
import torch
from tiny_experiment import ENCODER_CONF, build_model, train_config

TIME = torch.arange(16000) / 8000
# a tone that rises and comes and goes
SPEECH = torch.sin(2000 * TIME**2) * (torch.sin(9 * TIME) > 0) + 1e-3 * TIME.cos()
SPEECH = SPEECH.unsqueeze(0)
LENS = torch.tensor([16000])
BLANK_BIAS = 1.0  # so that every layer calls some frames blank, and not all


def model(gates, interctc=(1, 3), **options):
    conf = dict(
        ENCODER_CONF,
        gate_layers=gates,
        blank_threshold=0.6,
        spike_extension=0,
        interctc_layer_idx=list(interctc),
        **options,
    )
    built = build_model(train_config(encoder_conf=conf))
    with torch.no_grad():
        built.ctc.ctc_lo.bias[0] += BLANK_BIAS
    return built


@pytest.mark.parametrize("gates", [[1], [3], [1, 3]])
@torch.no_grad()
def test_moved_gate_equals_one_built_there(gates):
    moved, built = model([2]), model(gates)
    moved.encoder.set_gate(gate_layers=gates)
    result, expected = (m.encode_frames(SPEECH, LENS) for m in (moved, built))
    depths = set(expected.depth.unique().tolist())
    assert depths == {*gates, 4}, "some gate skips all or nothing"
    assert torch.equal(result.depth, expected.depth)
    torch.testing.assert_close(result.states, expected.states)


@torch.no_grad()
def test_contexts_change_at_run_time():
    changed = model([1])
    built = model([1], conv_context="zero", attn_context="all")
    before = changed.encode_frames(SPEECH, LENS).states
    changed.encoder.set_gate(conv_context="zero", attn_context="all")
    after = changed.encode_frames(SPEECH, LENS).states
    torch.testing.assert_close(after, built.encode_frames(SPEECH, LENS).states)
    assert not torch.allclose(before, after)


@pytest.mark.parametrize(
    "built, options, message",
    [
        pytest.param([2], dict(gate_layers=[4]), "1..3", id="last-layer"),
        pytest.param([1], dict(gate_layers=[2]), r"chosen from \[1, 3\]", id="no-ctc"),
        pytest.param([2], dict(gate_layers=[]), r"chosen from \[1, 2, 3\]", id="empty"),
        pytest.param([], dict(gate_layers=[1]), "without a gate", id="built-without"),
        pytest.param([2], dict(conv_context="nothing"), "conv_context", id="conv"),
        pytest.param([2], dict(attn_context="some"), "attn_context", id="attention"),
    ],
)
def test_wrong_choice_names_the_option_and_changes_nothing(built, options, message):
    encoder = model(built).encoder
    with pytest.raises(ValueError, match=message):
        encoder.set_gate(blank_threshold=0.9, spike_extension=2, **options)
    assert encoder.gate_layers == built
    assert (encoder.blank_threshold, encoder.spike_extension) == (0.6, 0)


def test_own_head_reads_no_other_layer():
    encoder = model([2], gate_head="own").encoder
    assert encoder.possible_gates == [2]
