"""Run exported graphs in ONNX Runtime and OpenVINO, and hold them against torch."""

import numpy as np
import torch

from espnet_blankskip.encoders.naive import naive_encode
from espnet_blankskip.encoders.naive_branches import naive_encode_layers
from espnet_blankskip.upstream import ConformerEncoder

TOLERANCE = 1e-4


def open_in_onnxruntime(model):
    """A function from inputs, in order, and settings, by name, to outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [value.name for value in session.get_outputs()]
    inputs = [value.name for value in session.get_inputs()]

    def run(*given, **settings):
        feed = {**dict(zip(inputs, given)), **settings}
        feed = {name: np.asarray(x) for name, x in feed.items()}
        return dict(zip(names, session.run(names, feed)))

    return run


def open_in_openvino(model):
    """The same in OpenVINO, in true float32 and with the settings in the file."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1},
    )

    def run(*given):
        found = compiled([np.asarray(x) for x in given])
        return {o.name: np.array(found[o.name]) for o in model.graph.output}

    return run


ENGINES = {"onnxruntime": open_in_onnxruntime, "openvino": open_in_openvino}


@torch.no_grad()
def naive_outputs(encoder, ctc, feats):
    """Log-probabilities of the kept frames, and depths, by the definition."""
    conformer = isinstance(encoder, ConformerEncoder)
    encode = naive_encode if conformer else naive_encode_layers
    states, depth = encode(encoder, feats[0], ctc)
    kept = depth == encoder.num_blocks
    return ctc.log_softmax(states[kept].unsqueeze(0))[0].numpy(), depth[None].numpy()


@torch.no_grad()
def torch_outputs(encoder, ctc, feats, lens):
    """The same by the plugin's encoder, for a batch."""
    mode = "skipping" if encoder.gate_layers else "dense"
    encoded = encoder.encode_frames(feats, lens, ctc, mode)
    log_probs = ctc.log_softmax(encoded.states[encoded.kept].unsqueeze(0))[0]
    return log_probs.numpy(), encoded.depth.numpy()


def assert_same(got, log_probs, depth, layers=5):
    """The same frames were kept, and say the same; skipped ones say blank."""
    assert np.array_equal(got["depth"], depth), (got["depth"], depth)
    assert got["kept_log_probs"].shape == log_probs.shape
    np.testing.assert_allclose(got["kept_log_probs"], log_probs, rtol=0, atol=TOLERANCE)
    assert np.array_equal(got["log_probs_lens"], (depth > 0).sum(1))
    everywhere, kept = got["log_probs"], depth == layers
    assert np.array_equal(everywhere[kept], got["kept_log_probs"])
    assert np.all(everywhere[~kept].argmax(-1) == 0)
    assert np.isfinite(everywhere).all()
