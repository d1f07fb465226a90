"""Exported encoder and CTC head in each engine and precision, against ESPnet's encoder.

"torch" is the plugin's own accelerated encoder, which exports have to beat.

ESPnet's encoder and argmax over its CTC head in torch, as installed, is the measure.
The exported model has the same weights (but for --input-layer), and a factorized head;
its threshold is set so that the given share of the frames is kept. Before anything is
timed, each engine has to keep the frames that the plugin's own encoder keeps and give
the same log-probabilities.

"limit" is the speed-up of an encoder that did nothing but its multiply-adds, at the
fastest rate of matrix products in that precision that this processor reached in the
same run, by torch, oneDNN or the engine; "of limit" is how much of that was reached.
"""

import argparse
import copy
import dataclasses
import math
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Dict, List

import numpy as np
import onnx
import torch

from benchmarks.encoder import product_rates
from benchmarks.models import (
    FEATURES,
    GreedyModel,
    conformer,
    stock_conformer,
    utterances,
)
from benchmarks.results import publish
from benchmarks.timing import (
    Unequal,
    clock,
    environment,
    interleaved,
    median_ratio,
)
from espnet_blankskip.acceleration import accelerate
from espnet_blankskip.encoders.depthwise_subsampling import DEPTHWISE
from espnet_blankskip.export.graph import Graph
from espnet_blankskip.export.model import build_model
from espnet_blankskip.export.modules import affine
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.gate_options import CONV_CONTEXTS
from espnet_blankskip.runtime.engines import PRECISIONS, Scores, open_engine
from espnet_blankskip.runtime.manifest import MODELS
from espnet_blankskip.upstream import CTC
from espnet_blankskip.zoo.cost import encoder_cost

#: Largest difference of log-probabilities; None: the frames kept may differ.
TOLERANCE = {"float32": 1e-3, "bfloat16": None, "int8": None}
COLUMNS = ["engine", "precision", "audio", "kept", "stock [s]", "time [s]", "speed-up"]
COLUMNS += ["limit", "of limit"]
WAYS = {"torch": ("float32", "bfloat16"), **PRECISIONS}
REPEATS = 7
LOWEST = 0.6  # blank probability at which the smallest share is kept


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks exported", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--heads", type=int, help="default: width / 64")
    parser.add_argument("--gate", type=int, default=6)
    parser.add_argument(
        "--input-layer",
        choices=("conv2d", "conv2d8", *DEPTHWISE),
        default="conv2d",
        help="of the exported model; ESPnet's keeps conv2d (conv2d)",
    )
    parser.add_argument("--vocabulary", type=int, default=5000)
    parser.add_argument("--conv-context", choices=CONV_CONTEXTS, default="stale")
    parser.add_argument("--attn-context", choices=("kept", "all"), default="kept")
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 20])
    parser.add_argument("--keep", type=float, nargs="+", default=[0.3, 1.0])
    parser.add_argument(
        "--ways",
        nargs="+",
        default=[f"{e}-{p}" for e, having in WAYS.items() for p in having],
        metavar="ENGINE-PRECISION",
        help="such as onnxruntime-int8 (all)",
    )
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the ratios; exit code 1 if the outputs are not equal."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(1)
    try:
        rows = measure(args)
    except Unequal as e:
        print(f"not timed: {e}")
        return 1
    about = (
        f"{environment()}, cpu; {args.layers} x {args.width}, input_layer "
        f"{args.input_layer} against conv2d, gate after {args.gate}, vocabulary "
        f"{args.vocabulary}, conv_context {args.conv_context}, attn_context "
        f"{args.attn_context}; CPU time of the process, median of {args.repeats} rounds"
    )
    publish("exported", rows, COLUMNS, about, argv, args.save)
    return 0


@torch.inference_mode()
def measure(args) -> List[Dict[str, str]]:
    """Rows of the table.

    Raises:
        Unequal: if an engine does not give what the plugin's encoder gives.
    """
    shape = (args.layers, args.width, args.heads or max(1, args.width // 64))
    stock = stock_conformer(*shape, rel_pos_type="latest").eval()
    stock = GreedyModel(stock, CTC(args.vocabulary, args.width).eval())
    gated = conformer(
        *shape,
        args.gate,
        input_layer=args.input_layer,
        spike_extension=0,
        conv_context=args.conv_context,
        attn_context=args.attn_context,
    ).eval()
    torch.manual_seed(1)
    head = FactorizedCTC(args.vocabulary, args.width).eval()
    set_blank(gated, head, min(args.keep))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ways = {}
        for int8 in (False, True):
            model = build_model(gated, head, input_size=FEATURES, int8=int8)
            onnx.save(model, Path(folder) / MODELS["int8" if int8 else "float32"])
        for way in args.ways:
            engine, precision = way.split("-")
            if engine == "torch":
                ways[way] = TorchEngine(gated, head, precision)
            else:
                ways[way] = open_engine(Path(folder), engine, precision, 1)
        for seconds in args.seconds:
            feats, lens = utterances([seconds])
            times, kept = time_ways(args, stock, gated, head, ways, feats, lens)
            frames = int(gated.encode_frames(feats, lens, head).lens)
            state = GreedyModel(gated, head).state_dict()
            # the table of positions is computed when the file is loaded
            cost = encoder_cost(state, args.input_layer, frames)
            cost = dataclasses.replace(cost, table=0.0)
            for (way, keep), spent in times.items():
                if way != "stock":
                    row = dict(audio=f"{seconds:g} s", kept=f"{kept[way, keep]:.0%}")
                    needed = cost.skipping(args.gate, keep, True)
                    before = times["stock", None]
                    row |= speeds(args.width, way, needed, before, spent)
                    rows.append(row)
    return rows


class TorchEngine:
    """The plugin's accelerated encoder, called as an engine is."""

    def __init__(self, encoder, head, precision: str):
        model = copy.deepcopy(GreedyModel(encoder, head))
        self.model = accelerate(model, precision)

    def __call__(self, x, lens, log_threshold, spike_extension) -> Scores:
        """Encode a batch (B, T, F), and score the frames that are kept."""
        encoder, ctc = self.model.encoder, self.model.ctc
        encoder.set_gate(
            blank_threshold=math.exp(log_threshold),
            spike_extension=int(spike_extension),
        )
        encoded = encoder.encode_frames(*map(torch.from_numpy, (x, lens)), ctc)
        log_probs = ctc.log_softmax(encoded.states[encoded.kept].unsqueeze(0))[0]
        depth, blank = encoded.depth.numpy(), encoded.blank_logp.numpy()
        return Scores(log_probs.numpy(), depth, lens, blank)


def set_blank(encoder, head: FactorizedCTC, smallest: float) -> None:
    """Move the blank's bias: the smallest share is kept at a threshold of LOWEST."""
    feats, lens = utterances([10.0])
    states = encoder.encode_frames(feats, lens, mode="intermediate").states
    odds = torch.nn.functional.linear(states, head.ctc_lo.weight[:1]).flatten()
    wanted = torch.tensor(LOWEST).logit()
    head.ctc_lo.bias[0] = wanted - odds.quantile(smallest)


def time_ways(args, stock, gated, head, ways, feats, lens):
    """Seconds of every round by (way, share kept), and the share really kept."""
    x, size = feats.numpy(), lens.numpy()
    runs = {("stock", None): partial(stock, feats, lens)}
    kept = {}
    blank = gated.encode_frames(feats, lens, head).blank_logp.flatten()
    for way, run in ways.items():
        for keep in args.keep:
            threshold = 2.0 if keep >= 1 else math.exp(between(blank, keep))
            settings = dict(
                log_threshold=np.array(math.log(threshold), np.float32),
                spike_extension=np.array(0),
            )
            runs[way, keep] = partial(run, x, size, **settings)
            gated.set_gate(blank_threshold=threshold, spike_extension=0)
            check(way, runs[way, keep](), gated.encode_frames(feats, lens, head), head)
            depth = runs[way, keep]().depth
            kept[way, keep] = (depth == args.layers).mean()
    return interleaved(runs, args.repeats, clock("cpu", 1)), kept


def between(values: torch.Tensor, share: float) -> float:
    """A number that this share of the values is below, halfway between two of them."""
    steps = len(values) - 1
    return float(values.quantile((math.floor(share * steps) + 0.5) / steps))


def check(way: str, got, encoded, head) -> None:
    """Hold an engine's scores against those of the plugin's encoder.

    Raises:
        Unequal: They differ by more than the precision explains.
    """
    tolerance = TOLERANCE[way.split("-")[1]]
    if tolerance is None:
        return
    if not np.array_equal(got.depth, encoded.depth.numpy()):
        raise Unequal(f"{way} keeps other frames than the plugin's encoder")
    want = head.log_softmax(encoded.states[encoded.kept].unsqueeze(0))[0].numpy()
    error = float(np.abs(got.log_probs - want).max(initial=0.0))
    if not error <= tolerance:
        raise Unequal(f"{way} differs by {error:.1e}, more than {tolerance:.0e}")
    print(f"{way}: same frames, log-probabilities within {error:.0e}", flush=True)


def speeds(width: int, way: str, needed: float, before, spent) -> Dict[str, str]:
    """Cells of one row.

    Args:
        width: of the model.
        way: "ENGINE-PRECISION".
        needed: multiply-adds.
        before, spent: seconds of every round, by ESPnet's encoder and by this way.
    """
    engine, precision = way.split("-")
    limit = statistics.median(before) * product_rate(width, precision) / needed
    ratio = median_ratio(before, spent)
    return {
        "engine": engine,
        "precision": precision,
        "stock [s]": f"{statistics.median(before):.3f}",
        "time [s]": f"{statistics.median(spent):.3f}",
        "speed-up": f"{ratio:.2f}x",
        "limit": f"{limit:.2f}x",
        "of limit": f"{ratio / limit:.0%}",
    }


_RATES: Dict[str, float] = {}


def product_rate(width: int, precision: str) -> float:
    """Multiply-adds a second of matrix products in a precision, at their best."""
    if precision not in _RATES:
        if precision == "int8":
            _RATES[precision] = _int8_rate(width)
        else:
            _RATES[precision] = max(product_rates(width, precision).values())
    return _RATES[precision]


def _int8_rate(width: int) -> float:
    """The same of ONNX Runtime's products of 8 bits, which torch has none of."""
    import onnxruntime

    rng, rows = np.random.default_rng(0), 1024
    g = Graph("product", int8=True)
    x = g.input("x", onnx.TensorProto.FLOAT, ["R", width])
    y = affine(g, rng.standard_normal((4 * width, width)), None, x, "product")
    g.output("y", y, onnx.TensorProto.FLOAT, ["R", 4 * width])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = g.to_model({}).SerializeToString()
    session = onnxruntime.InferenceSession(model, options)
    feed = {"x": rng.standard_normal((rows, width)).astype(np.float32)}
    runs = {"product": lambda: session.run(None, feed)}
    times = interleaved(runs, 20, clock("cpu", 1))["product"]
    return rows * 4 * width**2 / min(times)
