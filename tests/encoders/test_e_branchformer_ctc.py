"""blankskip_e_branchformer_ctc, OWSM-CTC's encoder: the same contract, and prompts."""

import argparse
import dataclasses

import pytest
import torch
from encoder_contract import (
    build,
    check_any_number_of_kept_frames,
    check_batched_equals_single,
    check_equal_to_stock,
    check_parity,
)
from tiny_encoders import FEATS, WIDTH, make_ctc, make_feats

import espnet_blankskip
from espnet_blankskip.encoders import BlankSkipEBranchformerCTCEncoder
from espnet_blankskip.encoders.e_branchformer_ctc import Prompt
from espnet_blankskip.upstream import EBranchformerCTCEncoder, s2t_ctc_task

OPTIONS = dict(
    input_size=FEATS,
    output_size=WIDTH,
    attention_heads=2,
    cgmlp_linear_units=24,
    cgmlp_conv_kernel=5,
    linear_units=24,
    num_blocks=5,
    dropout_rate=0.0,
    positional_dropout_rate=0.0,
    use_ffn=True,
    macaron_ffn=True,
    interctc_layer_idx=[1, 2, 4],
    interctc_use_conditioning=True,
    use_cross_attention=[False, True, False, True, True],
)
PREFIX = 2  # OWSM's language and task tokens
GATES = {
    "stale-kept": dict(gate_layers=[2]),
    "stale-all": dict(gate_layers=[2, 4], attn_context="all", spike_extension=0),
    "zero-kept": dict(gate_layers=[2, 4], conv_context="zero", spike_extension=0),
    "packed-kept": dict(gate_layers=[2], conv_context="packed"),
}


def make(encoder_class=BlankSkipEBranchformerCTCEncoder, dtype=torch.float64, **more):
    return build(encoder_class, {**OPTIONS, **more}, dtype=dtype)


def make_prompt(*memory_lens, dtype=torch.float64):
    """A prompt for a batch, whose text prompts have these lengths."""
    memory_lens = torch.tensor(memory_lens)
    batch, width = len(memory_lens), int(memory_lens.max())
    return Prompt(
        torch.randn(batch, PREFIX, WIDTH, dtype=dtype),
        torch.randn(batch, width, WIDTH, dtype=dtype),
        (torch.arange(width) < memory_lens.unsqueeze(1)).unsqueeze(1),
    )


def as_inputs(prompt):
    """The arguments by which ESPnet hands a prompt over."""
    return {f.name: getattr(prompt, f.name) for f in dataclasses.fields(prompt)}


@pytest.mark.parametrize("gates", [{}, dict(gate_layers=[2], blank_threshold=1.1)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(interctc_use_conditioning=False),
        dict(use_cross_attention=False),
        dict(pos_enc_layer_type="abs_pos", attention_layer_type="selfattn"),
        dict(input_layer="linear"),
    ],
    ids=["owsm", "no_conditioning", "no_cross_attention", "abs_pos", "linear"],
)
def test_equal_to_stock_when_nothing_is_skipped(options, gates):
    ours = make(dtype=torch.float32, **options, **gates)
    theirs = make(EBranchformerCTCEncoder, torch.float32, **options)
    shapes = {name: p.shape for name, p in theirs.state_dict().items()}
    assert {name: p.shape for name, p in ours.state_dict().items()} == shapes
    prompt = as_inputs(make_prompt(6, dtype=torch.float32))
    check_equal_to_stock(ours, theirs, **prompt)


@pytest.mark.parametrize("inputs", [{}, dict(max_layer=2)], ids=["alone", "max_layer"])
def test_equal_to_stock_without_prompt_and_when_looking_inside(inputs):
    ours = make(dtype=torch.float32)
    theirs = make(EBranchformerCTCEncoder, torch.float32)
    check_equal_to_stock(ours, theirs, **inputs)


@pytest.mark.parametrize("prompt", [None, "prompt"])
@pytest.mark.parametrize("options", GATES.values(), ids=GATES)
def test_fast_path_is_the_definition(options, prompt):
    encoder = make(**options)
    check_parity(encoder, frames=110, prompt=prompt and make_prompt(6))


@pytest.mark.parametrize(
    "options",
    [*GATES.values(), dict(gate_layers=[2], input_layer="dw_conv2d8")],
    ids=[*GATES, "dw_conv2d8"],
)
def test_batched_equals_single(options):
    memory_lens = (4, 1, 6, 3)
    prompt = make_prompt(*memory_lens)

    def alone(row):
        length = memory_lens[row]
        return Prompt(
            prompt.prefix_embeds[row : row + 1],
            prompt.memory[row : row + 1, :length],
            prompt.memory_mask[row : row + 1, :, :length],
        )

    check_batched_equals_single(make(**options), (163, 15, 101, 30), prompt, alone)


@pytest.mark.parametrize("kept", ["nothing", "everything", "one"])
@pytest.mark.parametrize("lengths", [(15, 16), (163, 15)], ids=["T=1", "ragged"])
@pytest.mark.parametrize("options", GATES.values(), ids=GATES)
def test_any_number_of_kept_frames(options, lengths, kept):
    prompt = make_prompt(5, 2)
    encoder = make(**options, use_cross_attention=True)
    check_any_number_of_kept_frames(encoder, lengths, kept, prompt, **as_inputs(prompt))


@torch.no_grad()
def test_prefix_frames_always_reach_the_last_layer():
    encoder = make(gate_layers=[2, 4])
    feats, lens = make_feats(163, 40)
    ctc = make_ctc()
    ctc.ctc_lo.bias[0] += 40.0
    encoded = encoder.encode_frames(feats, lens, ctc, prompt=make_prompt(5, 2))
    assert encoded.depth[:, :PREFIX].eq(encoder.num_blocks).all()
    assert encoded.depth[encoded.depth > 0].sum() == 2 * PREFIX * 5 + 2 * int(
        encoded.lens.sum() - 2 * PREFIX
    )


def test_conflicting_options_are_named():
    with pytest.raises(ValueError, match="rel_pos_type=latest"):
        make(gate_layers=[2], rel_pos_type="legacy")


@pytest.mark.slow
def test_s2t_task_builds_and_trains_it():
    """ESPnet's own S2T-CTC task and model around the encoder, as OWSM-CTC has it."""
    espnet_blankskip.register()
    task = s2t_ctc_task()
    small = dict(output_size=WIDTH, attention_heads=2, linear_units=24)
    options = {k: v for k, v in OPTIONS.items() if k != "input_size"}
    special = ["<na>", "<nospeech>", "<eng>", "<asr>", "<sop>", "<sos>", "<eos>"]
    tokens = ["<blank>", "<unk>", "a", "b", "c", *special]
    config = dict(
        task.get_default_config(),
        token_list=tokens,
        frontend_conf=dict(fs=16000),
        normalize=None,
        model="espnet_ctc",
        model_conf=dict(
            interctc_weight=0.5,
            ctc_asr_only=[True, False, False, False],
            report_cer=False,
            report_wer=False,
        ),
        encoder="blankskip_e_branchformer_ctc",
        encoder_conf=dict(options, gate_layers=[2, 4]),
        promptencoder_conf=dict(small, num_blocks=1),
        ctc_conf={},
        init=None,
    )
    model = task.build_model(argparse.Namespace(**config))
    assert isinstance(model.encoder, BlankSkipEBranchformerCTCEncoder)
    with torch.no_grad():
        model.ctc.ctc_lo.bias[0] += 3.0

    def loss():
        text, text_lens = torch.tensor([[2, 3, 4], [4, 2, 0]]), torch.tensor([3, 2])
        prompt, prefix = torch.tensor([[3, 4], [2, 0]]), torch.tensor([[7, 8], [7, 8]])
        two = torch.tensor([2, 2])
        return model(
            speech=torch.randn(2, 48000),
            speech_lengths=torch.tensor([48000, 30000]),
            text=text,
            text_lengths=text_lens,
            text_prev=prompt,
            text_prev_lengths=torch.tensor([2, 1]),
            text_ctc=text.clone(),
            text_ctc_lengths=text_lens,
            prefix=prefix,
            prefix_lengths=two,
        )[0]

    loss().backward()
    assert model.encoder.last_kept[:, :PREFIX].all()
    assert not model.encoder.last_kept.all(), "some blank frames must have left"
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} got no gradient"
    with torch.no_grad():
        assert model.eval() and loss().isfinite()
