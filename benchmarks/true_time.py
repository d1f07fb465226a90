"""What it costs that kept frames stay where they were in time.

The layers behind the gate are exported as the plugin defines them, at true distances
and with the convolution on the true time axis, and as if the kept frames had been
neighbours all along, which is what a packed sequence would be. Both run on the same
frames, in turn. "of the encoder" is the share of the whole that the difference makes.
"""

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Dict, List
from unittest import mock

import numpy as np
import onnx
import torch

from benchmarks.exported import LOWEST, check, set_blank
from benchmarks.models import FEATURES, conformer, utterances
from benchmarks.results import publish
from benchmarks.timing import Unequal, clock, environment, interleaved
from espnet_blankskip.export import encoder as exported_encoder
from espnet_blankskip.export.attention import Distances, attend, scores_of_all
from espnet_blankskip.export.mixing import KeptFrames
from espnet_blankskip.export.model import build_model
from espnet_blankskip.export.packing import Axis
from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.runtime.engines import open_engine
from espnet_blankskip.runtime.manifest import MODELS

REPEATS = 7
#: What each way sees: convolution's context, and whether positions are the true ones.
WAYS = {
    "neighbours": ("packed", False),
    "true positions": ("packed", True),
    "and convolution, zeros": ("zero", True),
    "and convolution, stale": ("stale", True),
}
COLUMNS = ["audio", "kept", *WAYS, "of the encoder"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks true_time", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--gate", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=5000)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 20])
    parser.add_argument("--keep", type=float, default=0.3)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the table; exit code 1 if the plugin's encoder says otherwise."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(1)
    try:
        rows = measure(args)
    except Unequal as e:
        print(f"not timed: {e}")
        return 1
    about = (
        f"{environment()}, cpu; ONNX Runtime, float32; {args.layers} x {args.width}, "
        f"gate after {args.gate}; CPU time of the process in seconds, median of "
        f"{args.repeats} rounds"
    )
    publish("true_time", rows, COLUMNS, about, argv, args.save)
    return 0


class Neighbours(KeptFrames):
    """Kept frames as a sequence of their own; arguments as for `KeptFrames`."""

    def __init__(self, axis, valid, running, stale, distances, *others):
        super().__init__(axis, valid, running, stale, None, *others)
        self._packed = Axis(self.g, axis.batch, self.frames.width)
        self.distances = Distances(self.g, self.frames.width, distances.width)

    def attention(self, attn, x, prepare):
        """Self-attention at the distances of a packed sequence."""
        scores = partial(scores_of_all, self.g, self.distances, self._packed)
        return attend(self.g, attn, x, x, self.axis.batch, self._hidden, scores)


@torch.inference_mode()
def measure(args) -> List[Dict[str, str]]:
    """Rows of the table.

    Raises:
        Unequal: if the graph does not give what the plugin's encoder gives.
    """
    gated = conformer(
        args.layers, args.width, args.heads, args.gate, spike_extension=0
    ).eval()
    torch.manual_seed(1)
    head = FactorizedCTC(args.vocabulary, args.width).eval()
    set_blank(gated, head, args.keep)
    engines = {}
    for way, (conv_context, true_positions) in WAYS.items():
        gated.set_gate(conv_context=conv_context, blank_threshold=LOWEST)
        kept_frames = KeptFrames if true_positions else Neighbours
        with mock.patch.object(exported_encoder, "KeptFrames", kept_frames):
            model = build_model(gated, head, input_size=FEATURES)
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(model, Path(folder) / MODELS["float32"])
            engines[way] = open_engine(Path(folder), "onnxruntime", "float32", 1)
    rows = []
    for seconds in args.seconds:
        feats, lens = (x.numpy() for x in utterances([seconds]))
        blank = engines["true positions"](feats, lens).blank_logp
        threshold = np.float32(np.quantile(blank, args.keep))
        settings = dict(log_threshold=np.array(threshold))
        runs = {
            way: partial(run, feats, lens, **settings) for way, run in engines.items()
        }
        gated.set_gate(blank_threshold=float(np.exp(threshold)))
        want = gated.encode_frames(*map(torch.from_numpy, (feats, lens)), head)
        check("onnxruntime-float32", runs["and convolution, stale"](), want, head)
        depth = want.depth.numpy()
        spent = interleaved(runs, args.repeats, clock("cpu", 1))
        times = {way: statistics.median(t) for way, t in spent.items()}
        least, most = times["neighbours"], times["and convolution, stale"]
        rows.append(
            {
                "audio": f"{seconds:g} s",
                "kept": f"{(depth == args.layers).mean():.0%}",
                **{way: f"{time:.3f}" for way, time in times.items()},
                "of the encoder": f"{1 - least / most:.1%}",
            }
        )
    return rows
