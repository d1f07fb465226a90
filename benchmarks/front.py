"""Input layers: ESPnet's conv2d and conv2d8 against the depthwise-separable ones.

Encoder (dense) and input layer alone, random weights, one utterance; or, with --train,
training steps. Before anything is timed, an input layer of ours has to be its naive
twin in float64, and every accelerated encoder has to give what it gives without.
"""

import argparse
import copy
import statistics
from functools import partial
from pathlib import Path

import torch

from benchmarks.encoder import TOLERANCE
from benchmarks.models import VOCABULARY, conformer, utterances
from benchmarks.results import publish
from benchmarks.timing import (
    REPEATS,
    Unequal,
    clock,
    environment,
    interleaved,
    median_ratio,
)
from espnet_blankskip.acceleration import accelerate
from espnet_blankskip.encoders.naive_subsampling import naive_subsample
from espnet_blankskip.upstream import CTC
from espnet_blankskip.zoo.cost import encoder_cost

LAYERS = {
    "conv2d": {},
    "dw_conv2d": {},
    "conv2d8": {},
    "dw_conv2d8": {},
    "dw_conv2d8, 128 channels": dict(subsampling_channels=128),
}
UNGATED = dict(gate_layers=[], interctc_layer_idx=[])
COLUMNS = ["width", "input layer", "arithmetic", "multiply-adds [M/s]"]
COLUMNS += ["layer [ms]", "of conv2d", "encoder [ms]", "encoder of conv2d"]
STEP_COLUMNS = ["width", "input layer", "arithmetic", "step [s]", "of conv2d"]
STEP_COLUMNS += ["of float32", "times real time"]
TOKENS_PER_SECOND = 5


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks front", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, nargs="+", default=[144, 512])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--dtype", choices=list(TOLERANCE), default="float32")
    parser.add_argument(
        "--train", type=int, metavar="B", help="time training steps of B utterances"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the ratios; exit code 1 if the outputs are not equal."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    rows = []
    try:
        check_naive_twin()
        for width in args.width:
            rows += measure_steps(args, width) if args.train else measure(args, width)
    except Unequal as e:
        print(f"not timed: {e}")
        return 1
    kind = "CPU time of the process" if args.threads == 1 else "wall time"
    about = (
        f"{environment()}; {args.layers} layers, {args.seconds:g} s of audio, batch "
        f"{args.train or 1}, no gate; plain: as torch computes it; {kind}, median of "
        f"{args.repeats} rounds"
    )
    columns = STEP_COLUMNS if args.train else COLUMNS
    publish("front", rows, columns, about, argv, args.save)
    return 0


def build(args, width: int, name: str, **options):
    """An encoder with the input layer of this name."""
    heads = 4 if width < 256 else width // 64
    options = {"input_layer": name.split(",")[0], **LAYERS[name], **options}
    return conformer(args.layers, width, heads, **options)


@torch.inference_mode()
def measure(args, width: int):
    """Rows for one width."""
    feats, lens = utterances([args.seconds])
    encoders, cost = {}, {}
    for name in LAYERS:
        plain = build(args, width, name, **UNGATED).eval()
        fast = accelerate(copy.deepcopy(plain), args.dtype)
        want, got = plain(feats, lens)[0], fast(feats, lens)[0]
        if not float((want - got).abs().max()) <= TOLERANCE[args.dtype]:
            raise Unequal(f"the accelerated encoder with {name} is not the plain one")
        for way, encoder in {"plain": plain, args.dtype: fast}.items():
            encoders[name, way] = encoder
            encoder.encoders = encoders["conv2d", way].encoders  # to spare memory
        state = {f"encoder.{n}": w for n, w in plain.state_dict().items()}
        needed = encoder_cost(state, name.split(",")[0], want.size(1))
        cost[name] = 1e-6 * needed.subsampling / args.seconds
    now = clock("cpu", args.threads)
    runs = {key: partial(e.embed, feats, None) for key, e in encoders.items()}
    embed = interleaved(runs, 3 * args.repeats, now)
    runs = {key: partial(e, feats, lens) for key, e in encoders.items()}
    whole = interleaved(runs, args.repeats, now)
    return [
        {
            "width": width,
            "input layer": name,
            "arithmetic": way,
            "multiply-adds [M/s]": f"{cost[name]:.0f}",
            "layer [ms]": f"{1e3 * statistics.median(embed[name, way]):.1f}",
            "of conv2d": f"{median_ratio(embed['conv2d', way], embed[name, way]):.1f}x",
            "encoder [ms]": f"{1e3 * statistics.median(whole[name, way]):.0f}",
            "encoder of conv2d": (
                f"{median_ratio(whole['conv2d', way], whole[name, way]):.2f}x"
            ),
        }
        for way in ("plain", args.dtype)
        for name in LAYERS
    ]


def measure_steps(args, width: int):
    """Rows for one width: forward and backward, with interCTC and final CTC loss."""
    feats, lens = utterances([args.seconds] * args.train)
    count = int(TOKENS_PER_SECOND * args.seconds)
    labels = torch.randint(1, VOCABULARY, (args.train, count))
    label_lens = torch.full((args.train,), count)
    middle = dict(gate_layers=[], interctc_layer_idx=[max(1, args.layers // 3)])

    def step(name, dtype):
        encoder = build(args, width, name, **middle).train()
        ctc = CTC(VOCABULARY, width)

        def run():
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                (out, [(_, inner)]), out_lens, _ = encoder(feats, lens)
            states = (out.float(), inner.float())  # as model_conf: cpu_autocast does
            losses = [ctc(h, out_lens, labels, label_lens) for h in states]
            sum(losses).backward()

        return run

    now = clock("cpu", args.threads)
    dtypes = list(dict.fromkeys(["float32", args.dtype]))
    runs = {(name, dtype): step(name, dtype) for name in LAYERS for dtype in dtypes}
    times = interleaved(runs, args.repeats, now)
    audio = args.seconds * args.train
    return [
        {
            "width": width,
            "input layer": name,
            "arithmetic": dtype,
            "step [s]": f"{statistics.median(spent):.2f}",
            "of conv2d": f"{median_ratio(times['conv2d', dtype], spent):.2f}x",
            "of float32": f"{median_ratio(times[name, 'float32'], spent):.2f}x",
            "times real time": f"{audio / statistics.median(spent):.0f}",
        }
        for (name, dtype), spent in times.items()
    ]


@torch.inference_mode()
def check_naive_twin() -> None:
    """A small accelerated input layer has to be the place-by-place definition."""
    feats = utterances([0.4])[0].double()
    for name in ("dw_conv2d", "dw_conv2d8"):
        encoder = conformer(1, 16, 2, 0, input_layer=name, **UNGATED).double().eval()
        want = naive_subsample(encoder.embed, feats[0]) * 16**0.5  # as positions do
        got = accelerate(encoder).embed(feats, None)[0][0][0]
        if not float((got - want).abs().max()) <= 1e-6:
            raise Unequal(f"input_layer={name} is not its naive twin")
