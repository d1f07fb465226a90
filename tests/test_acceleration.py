"""``accelerate`` changes how long an encoder takes, and nothing else."""

import copy
import logging
import pickle

import pytest
import torch
from encoder_contract import CONTEXTS, build, check_batched_equals_single
from encoders.test_e_branchformer import OPTIONS as E_BRANCHFORMER
from encoders.test_stock_equality import STOCK_OPTIONS, UNGATED_OPTIONS
from encoders.test_transformer import OPTIONS as TRANSFORMER
from tiny_encoders import (
    VOCAB,
    WIDTH,
    make_ctc,
    make_encoder,
    make_feats,
    make_stock,
    splitting_ctc,
)
from tiny_models import make_batch, make_model

from espnet_blankskip import acceleration, packing
from espnet_blankskip.acceleration import accelerate, linear
from espnet_blankskip.acceleration.attention import attend_at_once, attend_in_blocks
from espnet_blankskip.acceleration.module import Accelerated
from espnet_blankskip.encoders import (
    BlankSkipEBranchformerEncoder,
    BlankSkipTransformerEncoder,
)
from espnet_blankskip.encoders.naive import naive_encode
from espnet_blankskip.encoders.naive_branches import naive_encode_layers
from espnet_blankskip.upstream import EBranchformerEncoder, TransformerEncoder

LEGACY = dict(rel_pos_type="legacy")
LONG = 640  # input frames: more than one block of queries and of subsampling
NEEDS_BFLOAT16 = pytest.mark.skipif(
    not acceleration.has_bfloat16(torch.device("cpu")),
    reason="this processor has no arithmetic in bfloat16",
)


@pytest.fixture(autouse=True)
def even_small_products(monkeypatch):
    monkeypatch.setattr(linear, "SMALLEST_PRODUCT", 0)


def make_conformer(**options):
    encoder = make_stock(dtype=torch.float32, **options)
    if options.get("interctc_use_conditioning"):
        encoder.conditioning_layer = torch.nn.Linear(VOCAB, WIDTH)
    return encoder


def states_of(output):
    """All states that an encoder returned: final, then intermediate ones."""
    states, *_ = output
    states, others = states if isinstance(states, tuple) else (states, [])
    return [states, *(other for _, other in others)]


def assert_equal_to_stock(stock, *lens):
    feats, lens = make_feats(*lens, dtype=torch.float32)
    ctc = make_ctc(dtype=torch.float32)
    fast = accelerate(copy.deepcopy(stock))
    inputs = dict(ctc=ctc) if stock.interctc_use_conditioning else {}
    with torch.no_grad():
        want, got = stock(feats, lens, **inputs), fast(feats, lens, **inputs)
    assert got[1].equal(want[1])
    for ours, theirs in zip(states_of(got), states_of(want), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lens", [(83,), (LONG, 300)], ids=["one", "padded"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=name)
        for name, options in {**STOCK_OPTIONS, **UNGATED_OPTIONS}.items()
    ],
)
def test_stock_conformers_give_the_same(options, lens):
    if options.get("input_layer") == "linear":
        lens = tuple(length // 4 for length in lens)
    assert_equal_to_stock(make_conformer(**options), *lens)


@pytest.mark.parametrize("frames", [7, 8, 11, 515, 519], ids=str)
@pytest.mark.parametrize("rel_pos_type", ["latest", "legacy"])
def test_any_length_gives_the_same(frames, rel_pos_type):
    assert_equal_to_stock(make_conformer(rel_pos_type=rel_pos_type), frames)


@pytest.mark.parametrize(
    "encoder_class, options",
    [
        (EBranchformerEncoder, E_BRANCHFORMER),
        (TransformerEncoder, TRANSFORMER),
        (TransformerEncoder, {**TRANSFORMER, "input_layer": "conv1d2"}),
    ],
    ids=["e_branchformer", "transformer", "conv1d2"],
)
def test_other_stock_encoders_give_the_same(encoder_class, options):
    encoder = build(encoder_class, options, dtype=torch.float32)
    assert_equal_to_stock(encoder, LONG, 300)


def test_small_products_give_the_same(monkeypatch):
    monkeypatch.setattr(linear, "SMALLEST_PRODUCT", 2**40)
    assert_equal_to_stock(make_conformer(), 83)


def test_remembered_positions_serve_any_order_of_lengths():
    for options in ({}, LEGACY):
        stock = make_conformer(**options)
        fast = accelerate(copy.deepcopy(stock))
        with torch.no_grad():
            for frames in (40, 200, 80, 41):
                feats, lens = make_feats(frames, dtype=torch.float32)
                want, got = stock(feats, lens)[0], fast(feats, lens)[0]
                torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", CONTEXTS.values(), ids=CONTEXTS)
@torch.no_grad()
def test_skipping_is_still_the_definition(options):
    encoder = make_encoder(**options)
    feats, lens = make_feats(58)
    ctc = splitting_ctc(encoder, feats, lens)
    want, want_depth = naive_encode(encoder, feats[0], ctc)
    got = accelerate(encoder).encode_frames(feats, lens, ctc)
    assert got.depth[0].equal(want_depth)
    torch.testing.assert_close(got.states[0], want, rtol=1e-6, atol=1e-6)


def test_skipping_with_spare_rows_is_still_the_definition(monkeypatch):
    monkeypatch.setattr(packing, "WIDTHS", 2)
    test_skipping_is_still_the_definition(CONTEXTS[next(iter(CONTEXTS))])


@pytest.mark.parametrize("contexts", [("stale", "all"), ("zero", "kept")], ids="-".join)
@pytest.mark.parametrize(
    "encoder_class, options",
    [
        (BlankSkipEBranchformerEncoder, E_BRANCHFORMER),
        (BlankSkipTransformerEncoder, TRANSFORMER),
    ],
    ids=["e_branchformer", "transformer"],
)
@torch.no_grad()
def test_skipping_of_other_encoders_is_still_the_definition(
    encoder_class, options, contexts
):
    gates = dict(gate_layers=[2, 4], conv_context=contexts[0], attn_context=contexts[1])
    encoder = build(encoder_class, {**options, **gates})
    feats, lens = make_feats(58)
    ctc = splitting_ctc(encoder, feats, lens)
    want, want_depth = naive_encode_layers(encoder, feats[0], ctc)
    got = accelerate(encoder).encode_frames(feats, lens, ctc)
    assert got.depth[0].equal(want_depth)
    torch.testing.assert_close(got.states[0], want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["skipping", "dense", "intermediate"])
@torch.no_grad()
def test_every_mode_gives_the_same_in_float32(mode):
    encoder = make_encoder(gate_layers=[2], dtype=torch.float32)
    feats, lens = make_feats(LONG, 300, dtype=torch.float32)
    ctc = splitting_ctc(encoder, feats, lens)
    want = encoder.encode_frames(feats, lens, ctc, mode)
    got = accelerate(encoder).encode_frames(feats, lens, ctc, mode)
    assert got.depth.equal(want.depth)
    valid = want.depth > 0
    torch.testing.assert_close(
        got.states[valid], want.states[valid], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("gates", [[], [2], [2, 4]], ids=str)
def test_batched_equals_single(gates):
    encoder = accelerate(make_encoder(gate_layers=gates))
    check_batched_equals_single(encoder, (120, 61, 83, 7))


@pytest.mark.parametrize("hides", ["nothing", "keys", "pairs"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_both_kernels_of_attention_are_equal(hides, with_bias):
    q, k, v = torch.randn(3, 2, 4, 300, 8).unbind()
    scores = torch.randn(2, 4, 300, 300)
    hidden = {
        "nothing": None,
        "keys": (torch.arange(300) >= torch.tensor([[300], [170]]))[:, None, None],
        "pairs": torch.ones(2, 1, 300, 300).triu(1).bool(),
    }[hides]

    def bias(q, start, stop):
        return scores[:, :, start:stop]

    ways = [
        attend(q, k, v, hidden, bias if with_bias else None)
        for attend in (attend_in_blocks, attend_at_once)
    ]
    torch.testing.assert_close(*ways, rtol=1e-5, atol=1e-5)


def test_weights_and_names_are_left_alone():
    model = make_model()
    before = {name: p.clone() for name, p in model.state_dict().items()}
    parameters = dict(model.named_parameters())
    accelerate(model.eval())
    with torch.no_grad():
        model.encode(*make_batch_input())
    assert list(model.state_dict()) == list(before)
    for name, weight in model.state_dict().items():
        assert weight.equal(before[name]) and weight.dtype == before[name].dtype
    for name, parameter in model.named_parameters():
        assert parameter is parameters[name]


def make_batch_input():
    batch = make_batch()
    return batch["speech"], batch["speech_lengths"]


def test_every_matrix_of_the_encoder_takes_the_fast_path():
    encoder = accelerate(make_encoder(gate_layers=[2], dtype=torch.float32))
    feats, lens = make_feats(58, dtype=torch.float32)
    with torch.no_grad():
        encoder.encode_frames(feats, lens, splitting_ctc(encoder, feats, lens))
    for name, module in encoder.named_modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv1d, torch.nn.BatchNorm1d)):
            assert isinstance(module, Accelerated), name
    idle = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, acceleration.AcceleratedLinear)
        and not module.derived._entries
        # the attention packs these two, and the one for values, in its own way
        and not name.endswith(("linear_q", "linear_k", "linear_v"))
    ]
    assert not idle


@pytest.mark.parametrize(
    "change",
    [
        lambda encoder, other: encoder.load_state_dict(other.state_dict()),
        lambda encoder, other: encoder.load_state_dict(
            copy.deepcopy(other.state_dict()), assign=True
        ),
        lambda encoder, other: encoder.double().load_state_dict(other.state_dict()),
    ],
    ids=["load_state_dict", "assign", "to_double"],
)
@pytest.mark.parametrize("options", [{}, LEGACY], ids=["latest", "legacy"])
@torch.no_grad()
def test_new_weights_are_noticed(change, options):
    encoder = accelerate(make_conformer(**options))
    feats, lens = make_feats(58, dtype=torch.float32)
    encoder(feats, lens)
    other = make_stock(seed=5, dtype=torch.float32, **options)
    change(encoder, other)
    feats = feats.to(next(encoder.parameters()).dtype)
    want = other.to(feats.dtype)(feats, lens)[0]
    torch.testing.assert_close(encoder(feats, lens)[0], want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fast", [True, False], ids=["accelerated", "plain"])
@torch.no_grad()
def test_weights_written_through_data_are_noticed_after_eval(fast):
    """Torch does not count such writing; the docstring says what to do."""
    options = dict(gate_layers=[2], dtype=torch.float32)
    encoder, other = make_encoder(**options), make_encoder(seed=5, **options)
    encoder = accelerate(encoder) if fast else encoder
    feats, lens = make_feats(58, dtype=torch.float32)
    ctc = splitting_ctc(other, feats, lens)
    encoder.encode_frames(feats, lens, ctc)
    for name, tensor in other.state_dict().items():
        encoder.state_dict()[name].data.copy_(tensor)
    got = encoder.eval().encode_frames(feats, lens, ctc)
    want = other.encode_frames(feats, lens, ctc)
    assert got.depth.equal(want.depth)
    torch.testing.assert_close(got.states, want.states, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_where_gradients_are_recorded_nothing_changes(training):
    stock, accelerated = make_model(), accelerate(make_model())
    accelerated.load_state_dict(stock.state_dict())
    losses = []
    for model in (stock, accelerated):
        torch.manual_seed(3)
        loss, *_ = model.train(training)(**make_batch())
        loss.backward()
        losses.append(loss)
    assert losses[0].equal(losses[1])
    for ours, theirs in zip(accelerated.parameters(), stock.parameters()):
        if theirs.grad is not None:
            assert ours.grad.equal(theirs.grad)


@torch.no_grad()
def test_a_whole_model_gives_the_same_scores():
    model = make_model().eval()
    want, lens = model.encode(*make_batch_input())
    want = model.ctc.log_softmax(want[0])
    got, _ = accelerate(model).encode(*make_batch_input())
    got = model.ctc.log_softmax(got[0])
    valid = torch.arange(got.size(1)) < lens.unsqueeze(1)
    assert isinstance(model.ctc.ctc_lo, Accelerated)
    torch.testing.assert_close(got[valid], want[valid], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@torch.no_grad()
def test_copies_have_weights_of_their_own(copied):
    encoder = accelerate(make_conformer())
    feats, lens = make_feats(58, dtype=torch.float32)
    want = encoder(feats, lens)[0]
    twin = copied(encoder)
    for parameter in encoder.parameters():
        parameter.zero_()
    torch.testing.assert_close(twin(feats, lens)[0], want)


@torch.inference_mode()
def test_inference_mode_works_and_may_be_left():
    encoder = accelerate(make_conformer())
    feats, lens = make_feats(58, dtype=torch.float32)
    want = encoder(feats, lens)[0]
    with torch.inference_mode(False), torch.no_grad():
        torch.testing.assert_close(encoder(feats.clone(), lens.clone())[0], want)


@NEEDS_BFLOAT16
@pytest.mark.parametrize("options", [{}, LEGACY], ids=["latest", "legacy"])
@torch.no_grad()
def test_bfloat16_is_near_and_leaves_float32_around_it(options):
    stock = make_conformer(**options)
    feats, lens = make_feats(LONG, dtype=torch.float32)
    want = stock(feats, lens)[0]
    encoder = accelerate(copy.deepcopy(stock), dtype="bfloat16")
    got = encoder(feats, lens)[0]
    assert got.dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in encoder.parameters())
    assert 1e-4 < (got - want).abs().mean() < 2e-2  # states are of order one
    again = accelerate(encoder)(feats, lens)[0]
    torch.testing.assert_close(again, want, rtol=1e-4, atol=1e-4)


@NEEDS_BFLOAT16
@torch.no_grad()
def test_bfloat16_skips():
    encoder = make_encoder(gate_layers=[2], dtype=torch.float32)
    feats, lens = make_feats(LONG, dtype=torch.float32)
    ctc = splitting_ctc(encoder, feats, lens)
    want = encoder.encode_frames(feats, lens, ctc)
    got = accelerate(encoder, "bfloat16").encode_frames(feats, lens, ctc)
    assert got.states.dtype == torch.float32
    same = (got.depth == want.depth) & (want.depth > 0)
    assert same.float().mean() > 0.9
    assert (got.states - want.states)[same].abs().mean() < 0.05


@NEEDS_BFLOAT16
@torch.no_grad()
def test_adapted_layers_keep_their_type_in_bfloat16():
    class Adapted(torch.nn.Linear):
        """Stands for LoRA, quantization and the like."""

    stock = make_conformer()
    for layer in stock.encoders:
        layer.self_attn.linear_out.__class__ = Adapted
        layer.feed_forward.w_2.__class__ = Adapted
    feats, lens = make_feats(58, dtype=torch.float32)
    want = stock(feats, lens)[0]
    got = accelerate(stock, "bfloat16")(feats, lens)[0]
    assert 1e-4 < (got - want).abs().mean() < 2e-2


def test_unknown_types_are_refused():
    with pytest.raises(ValueError, match="dtype=float16 must be float32 or bfloat16"):
        accelerate(make_conformer(), dtype="float16")


def test_processors_without_bfloat16_say_so(monkeypatch):
    monkeypatch.setattr(acceleration, "has_bfloat16", lambda device: False)
    with pytest.raises(ValueError, match="bfloat16.*use float32"):
        accelerate(make_conformer(), dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "encoder, left",
    [
        (lambda: make_conformer(zero_triu=True), "RelPositionMultiHeadedAttention"),
        (lambda: torch.nn.Identity(), "Identity"),
    ],
    ids=["zero_triu", "foreign"],
)
def test_what_stays_as_it_is_is_said(encoder, left, caplog):
    with caplog.at_level(logging.WARNING):
        accelerate(encoder())
    assert f"left as they are: {left}" in caplog.text.replace("{'", "")
