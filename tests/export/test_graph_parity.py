"""Contract 8: the exported model is the torch model, on any length.

Held against the frame-by-frame definition (one utterance) and the plugin's encoder
(batches): the same frames are kept, and what they say differs by less than 1e-4.
"""

import itertools

import numpy as np
import pytest
import torch
from encoder_contract import build
from graph_runs import (
    ENGINES,
    assert_same,
    naive_outputs,
    open_in_onnxruntime,
    torch_outputs,
)
from tiny_encoders import FEATS, OPTIONS, WIDTH, make_ctc, make_feats, splitting_ctc

from espnet_blankskip.encoders import (
    BlankSkipConformerEncoder,
    BlankSkipEBranchformerEncoder,
    BlankSkipTransformerEncoder,
)

onnx = pytest.importorskip("onnx", reason="needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

from espnet_blankskip.export import (  # noqa: E402
    attention,
    attention_in_8_bits,
    subsampling_in_8_bits,
)
from espnet_blankskip.export.model import build_model  # noqa: E402
from espnet_blankskip.export.modules import CannotExport  # noqa: E402

COMMON = dict(
    input_size=FEATS,
    output_size=WIDTH,
    attention_heads=2,
    linear_units=24,
    num_blocks=5,
    dropout_rate=0.0,
    positional_dropout_rate=0.0,
)
ENCODERS = {
    "conformer": (BlankSkipConformerEncoder, OPTIONS),
    "e_branchformer": (
        BlankSkipEBranchformerEncoder,
        dict(
            COMMON,
            cgmlp_linear_units=24,
            cgmlp_conv_kernel=5,
            use_ffn=True,
            macaron_ffn=True,
            rel_pos_type="latest",
        ),
    ),
    "transformer": (BlankSkipTransformerEncoder, COMMON),
}
ABSOLUTE = dict(
    conformer=dict(pos_enc_layer_type="abs_pos", selfattention_layer_type="selfattn"),
    e_branchformer=dict(
        pos_enc_layer_type="scaled_abs_pos", attention_layer_type="selfattn"
    ),
)
OPTION_SETS = {
    "conformer-abs_pos-qk_norm": dict(ABSOLUTE["conformer"], qk_norm=True),
    "conformer-post_norm": dict(normalize_before=False),
    "conformer-no_macaron": dict(macaron_style=False),
    "conformer-no_cnn": dict(use_cnn_module=False),
    "conformer-wide_kernel": dict(cnn_module_kernel=31),
    "conformer-point_kernel": dict(cnn_module_kernel=1),
    "conformer-concat_after": dict(concat_after=True),
    "conformer-zero_triu": dict(zero_triu=True),
    "conformer-relu": dict(activation_type="relu"),
    "conformer-hardtanh": dict(activation_type="hardtanh"),
    "conformer-selu": dict(activation_type="selu"),
    "conformer-conditioning": dict(
        interctc_layer_idx=[1, 2, 3], interctc_use_conditioning=True
    ),
    "conformer-own_gate": dict(gate_head="own", blank_threshold=0.5),
    "e_branchformer-scaled_abs_pos": ABSOLUTE["e_branchformer"],
    "e_branchformer-no_ffn": dict(use_ffn=False, macaron_ffn=False),
    "e_branchformer-linear_after_conv": dict(use_linear_after_conv=True),
    "e_branchformer-gate_activation": dict(gate_activation="swish"),
    "e_branchformer-wide_kernels": dict(cgmlp_conv_kernel=31, merge_conv_kernel=15),
    "transformer-post_norm": dict(normalize_before=False),
    "transformer-concat_after": dict(concat_after=True),
    "transformer-qk_norm": dict(qk_norm=True),
}
INPUT_LAYERS = {
    "conformer-linear": 30,
    "conformer-conv2d1": 30,
    "conformer-conv2d2": 40,
    "conformer-conv2d6": 90,
    "conformer-conv2d8": 120,
    "conformer-dw_conv2d": 60,
    "e_branchformer-dw_conv2d8": 120,
    "e_branchformer-conv1d1": 25,
    "e_branchformer-conv1d2": 40,
    "e_branchformer-conv1d3": 50,
    "transformer-linear": 30,
}


def make(name, **options):
    """An encoder in float64 and evaluation mode."""
    encoder_class, common = ENCODERS[name]
    return build(encoder_class, {**common, "gate_layers": [2], **options})


def export(encoder, ctc):
    """The graph of an encoder that takes features."""
    return build_model(encoder, ctc, input_size=FEATS)


def assert_naive_parity(encoder, frames=58, factorized=False, engine="onnxruntime"):
    """One utterance, against the definition."""
    feats, lens = make_feats(frames)
    if getattr(encoder, "gate_head", "ctc") == "own":
        ctc = make_ctc(factorized)
        with torch.no_grad():
            encoder.gate.linear.weight.mul_(4.0)
            encoder.encode_frames(feats, lens, ctc)
            encoder.gate.linear.bias -= encoder.last_gate_logits.median()
    else:
        ctc = splitting_ctc(encoder, feats, lens, factorized)
    got = ENGINES[engine](export(encoder, ctc))(feats.float(), lens)
    if getattr(encoder, "gate_head", "ctc") == "own":
        log_probs, depth = torch_outputs(encoder, ctc, feats, lens)
    else:
        log_probs, depth = naive_outputs(encoder, ctc, feats)
    assert set(depth.ravel()) == {*encoder.gate_layers, 5}, "the gates must split"
    assert_same(got, log_probs, depth)


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
@pytest.mark.parametrize("gates,extension", [([2], 1), ([2, 4], 0)])
@pytest.mark.parametrize(
    "name,conv,attn",
    [
        *itertools.product(
            ("conformer", "e_branchformer"),
            ("stale", "zero", "packed"),
            ("kept", "all"),
        ),
        # a transformer has no convolution
        *itertools.product(("transformer",), ("stale",), ("kept", "all")),
    ],
)
def test_graph_is_the_definition(name, conv, attn, gates, extension, factorized):
    encoder = make(
        name,
        conv_context=conv,
        attn_context=attn,
        gate_layers=gates,
        spike_extension=extension,
    )
    assert_naive_parity(encoder, factorized=factorized)


@pytest.mark.parametrize("case", OPTION_SETS)
def test_every_option_is_exported(case):
    encoder = make(case.split("-")[0], **OPTION_SETS[case])
    assert_naive_parity(encoder)


@pytest.mark.parametrize("factorized", [False, True], ids=["plain", "factorized"])
def test_the_head_is_stored_once_and_read_once_a_layer(factorized):
    options = OPTION_SETS["conformer-conditioning"]
    model = export(
        make("conformer", gate_layers=[2, 4], **options), make_ctc(factorized)
    )
    weights = {
        tensor.name: tensor.dims[1]
        for tensor in model.graph.initializer
        if "ctc_lo.weight" in tensor.name
    }
    read = [weights[x] for node in model.graph.node for x in node.input if x in weights]
    # at 1, 2 and 3, which condition, at 4, which gates, and behind the last layer
    whole = max(weights.values())
    gate = 1 if factorized else whole
    assert sorted(weights.values()) == sorted({whole, gate})
    assert read == [whole, whole, whole, gate, whole]


@pytest.mark.parametrize("case", INPUT_LAYERS)
def test_every_input_layer_is_exported(case):
    name, layer = case.split("-")
    assert_naive_parity(make(name, input_layer=layer), frames=INPUT_LAYERS[case])


@pytest.mark.parametrize("name", ENCODERS)
def test_openvino_computes_the_same(name):
    pytest.importorskip("openvino")
    for attn, gates in (("kept", [2]), ("all", [2, 4])):
        encoder = make(name, attn_context=attn, gate_layers=gates, spike_extension=0)
        assert_naive_parity(encoder, factorized=True, engine="openvino")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_nothing_in_a_batch(name, engine):
    pytest.importorskip(engine)
    encoder = make(name, spike_extension=0)
    ctc = splitting_ctc(encoder, *make_feats(83, 31, 58), factorized=True)
    run = ENGINES[engine](export(encoder, ctc))
    for lengths in ((83, 31, 58), (7, 12), (120, 7)):
        feats, lens = make_feats(*lengths)
        feats[torch.arange(feats.size(1)) >= lens.unsqueeze(1)] = 50.0
        want = torch_outputs(encoder, ctc, feats, lens)
        assert_same(run(feats.float(), lens), *want)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("context", [("stale", "kept"), ("zero", "all")])
@pytest.mark.parametrize("name", ENCODERS)
def test_any_number_of_frames_may_be_kept(name, context, engine):
    pytest.importorskip(engine)
    encoder = make(name, conv_context=context[0], attn_context=context[1])
    for bias in (40.0, -40.0):  # nothing kept, everything kept
        ctc = make_ctc()
        with torch.no_grad():
            ctc.ctc_lo.bias[0] += bias
        run = ENGINES[engine](export(encoder, ctc))
        for lengths in ((58,), (7,), (58, 7, 40)):
            feats, lens = make_feats(*lengths)
            log_probs, depth = torch_outputs(encoder, ctc, feats, lens)
            assert (len(log_probs) == 0) == (bias > 0)
            assert_same(run(feats.float(), lens), log_probs, depth)


@pytest.mark.parametrize("name", ["conformer", "e_branchformer"])
def test_utterances_longer_than_the_table_of_positions(name, monkeypatch):
    monkeypatch.setattr(attention, "TABLE_FRAMES", 9)
    for frames in (32, 36, 40, 83):  # 7, 8, 9 and 20 frames after subsampling
        encoder = make(name)
        feats, lens = make_feats(frames)
        ctc = make_ctc()
        got = open_in_onnxruntime(export(encoder, ctc))(feats.float(), lens)
        assert_same(got, *torch_outputs(encoder, ctc, feats, lens))


def test_one_file_serves_every_threshold_and_extension():
    encoder = make("conformer", spike_extension=0)
    feats, lens = make_feats(83, 60)
    ctc = splitting_ctc(encoder, feats, lens)
    run = open_in_onnxruntime(export(encoder, ctc))
    kept = set()
    for threshold, extension in ((0.6, 0), (0.9, 2), (2.0, 0), (0.95, 30)):
        encoder.set_gate(blank_threshold=threshold, spike_extension=extension)
        got = run(
            feats.float(),
            lens,
            log_threshold=np.float32(np.log(threshold)),
            spike_extension=np.int64(extension),
        )
        want = torch_outputs(encoder, ctc, feats, lens)
        kept.add(len(want[0]))
        assert_same(got, *want)
    assert len(kept) > 2


@pytest.mark.parametrize(
    "case", [*(f"{name}-conv2d" for name in ENCODERS), *INPUT_LAYERS]
)
def test_8_bits_are_near_the_definition(case):
    name, layer = case.split("-")
    encoder = make(name, input_layer=layer)
    feats, lens = make_feats(INPUT_LAYERS.get(case, 83), 20)
    assert_near_in_8_bits(encoder, feats, lens)


@pytest.mark.parametrize("frames", [7, 32, 83])  # 1, 7 and 20 of the encoder
@pytest.mark.parametrize(
    "case",
    ["conformer-zero_triu", "conformer-qk_norm", "e_branchformer-", "transformer-"],
)
def test_parts_in_8_bits_join_to_the_whole(case, frames, monkeypatch):
    monkeypatch.setattr(attention, "TABLE_FRAMES", 9)
    monkeypatch.setattr(attention_in_8_bits, "PART_FRAMES", 4)
    monkeypatch.setattr(subsampling_in_8_bits, "PART_FRAMES", 3)
    name, option = case.split("-")
    encoder = make(name, **({option: True} if option else {}))
    for layer in encoder.encoders:  # where frames are from each other has to matter
        attn = getattr(layer, "self_attn", getattr(layer, "attn", None))
        if hasattr(attn, "linear_pos"):
            attn.linear_pos.weight.data.mul_(20.0)
    feats, lens = make_feats(frames, max(7, frames // 2))
    assert_near_in_8_bits(encoder, feats, lens)


def assert_near_in_8_bits(encoder, feats, lens):
    """All frames are kept, so that they compare."""
    ctc = make_ctc(factorized=True)
    with torch.no_grad():
        ctc.ctc_lo.bias[0] -= 40.0
    model = build_model(encoder, ctc, input_size=FEATS, int8=True)
    onnx.checker.check_model(model)
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    assert len(products) > 5 * encoder.num_blocks
    got = open_in_onnxruntime(model)(feats.float(), lens)
    log_probs, depth = torch_outputs(encoder, ctc, feats, lens)
    assert np.array_equal(got["depth"], depth)
    error = np.abs(got["kept_log_probs"] - log_probs)[:, 1:]
    assert 0 < error.mean() < 0.05 * log_probs[:, 1:].std()


@pytest.mark.parametrize("name", ENCODERS)
def test_models_without_a_gate_are_exported_dense(name):
    encoder = make(name, gate_layers=[])
    feats, lens = make_feats(83, 60)
    ctc = make_ctc()
    stock_class = next(
        c for c in type(encoder).__mro__ if c.__module__.startswith("espnet2")
    )
    stock = build(stock_class, ENCODERS[name][1])
    stock.load_state_dict(encoder.state_dict())
    want = torch_outputs(encoder, ctc, feats, lens)
    for exported in (encoder, stock):
        got = open_in_onnxruntime(export(exported, ctc))(feats.float(), lens)
        assert "blank_logp" not in got
        assert_same(got, *want)


@pytest.mark.parametrize(
    "name,options,word",
    [
        ("conformer", dict(rel_pos_type="legacy"), "rel_pos_type=legacy"),
        ("conformer", dict(positionwise_layer_type="conv1d"), "positionwise"),
        (
            "e_branchformer",
            dict(ABSOLUTE["e_branchformer"], attention_layer_type="fast_selfattn"),
            "FastSelfAttention",
        ),
        (
            "conformer",
            dict(ABSOLUTE["conformer"], pos_enc_layer_type="conv"),
            "ConvolutionalPositionalEmbedding",
        ),
    ],
)
def test_what_cannot_be_exported_is_named(name, options, word):
    encoder = make(name, gate_layers=[], **options)
    with pytest.raises(CannotExport, match=word):
        export(encoder, make_ctc())


def test_other_encoders_are_refused():
    with pytest.raises(CannotExport, match="Linear cannot be exported; conformer"):
        export(torch.nn.Linear(1, 1), make_ctc())
