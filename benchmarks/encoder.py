"""Encoder and greedy search, accelerated and skipping, against ESPnet's own encoder.

ESPnet's encoder and argmax over the CTC head, as installed, is the measure. Against it
run the same weights after ``accelerate``, without a gate ("dense") and with one that
keeps a given share of the frames ("skipping"). Before anything is timed, the dense one
has to give what ESPnet gives, and the skipping one what its naive twin gives.

"FLOP ideal" is the ratio of multiply-adds of the dense to the skipping pass: what
skipping alone could reach if every multiply-add took the same time. "limit" is the
speed-up of an encoder that did nothing but its multiply-adds, at the fastest rate of
matrix products that this processor reached in the same run.
"""

import argparse
import copy
import dataclasses
import statistics
from functools import lru_cache, partial
from pathlib import Path
from typing import Dict, List, Optional

import torch

from benchmarks.models import (
    GreedyModel,
    conformer,
    scripted_ctc,
    splitting_ctc,
    stock_conformer,
    utterances,
)
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
from espnet_blankskip.acceleration.linear import pack_linear
from espnet_blankskip.encoders.naive import naive_encode
from espnet_blankskip.zoo.cost import encoder_cost

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}  # states are of order one
MIXED_SECONDS = [2.3, 12.7, 5.1, 8.8, 3.4, 16.2, 6.6, 9.9]
COLUMNS = ["encoder", "audio", "batch", "kept", "stock [s]", "time [s]", "speed-up"]
COLUMNS += ["limit", "of skipping alone", "FLOP ideal"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks encoder", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--heads", type=int, help="default: width / 64")
    parser.add_argument("--gate", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=5000)
    parser.add_argument(
        "--factorized", action="store_true", help="the gate reads one row of the head"
    )
    parser.add_argument("--rel-pos", choices=["latest", "legacy"], default="latest")
    parser.add_argument("--seconds", type=float, nargs="+", default=[5, 10, 20, 35])
    parser.add_argument(
        "--lengths",
        choices=["equal", "mixed"],
        default="equal",
        help="mixed: a list of 2 to 16 s, one by one and in batches, for --seconds",
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--keep", type=float, nargs="+", default=[0.15, 0.3, 0.5, 1.0])
    parser.add_argument("--dtype", choices=list(TOLERANCE), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the ratios; exit code 1 if the outputs are not equal."""
    args = get_parser().parse_args(argv)
    try:
        rows = measure(args)
    except Unequal as e:
        print(f"not timed: {e}")
        return 1
    kind = "CPU time of the process" if timed_by_process(args) else "wall time"
    about = (
        f"{environment()}, {args.device}, {args.dtype}; {args.layers} x {args.width}, "
        f"gate after {args.gate}, vocabulary {args.vocabulary}, "
        f"{'factorized' if args.factorized else 'plain'} head, stock encoder with "
        f"rel_pos_type {args.rel_pos}; {kind}, median of {args.repeats} rounds"
    )
    if args.device == "cpu":
        rates = product_rates(args.width, args.dtype).items()
        rates = " and ".join(f"{2e-9 * rate:.0f} by {name}" for name, rate in rates)
        about += f"; matrix products at {rates} GFLOP/s"
    publish("encoder", rows, COLUMNS, about, argv, args.save)
    return 0


def timed_by_process(args) -> bool:
    """Whether the process's own time is counted, not that on the wall."""
    return args.device == "cpu" and args.threads == 1


def measure(args) -> List[Dict[str, str]]:
    """Rows of the table.

    Args:
        args: what ``get_parser()`` parses.

    Raises:
        Unequal: if a fast encoder does not give what the slow one gives.
    """
    torch.set_num_threads(args.threads)
    models = build_models(args)
    check_naive_twin()
    check_models(args, models)
    if args.lengths == "mixed":
        return measure_mixed(args, models)
    rows = []
    for seconds in args.seconds:
        batch = on_device(args, [seconds] * args.batch)
        times = time_models(args, models, {"": [batch]})
        needed = multiply_adds(args, models, seconds)
        for keep in (None, *args.keep):
            row = speed_row(times["stock"], times["", keep], keep)
            row.update(audio=f"{seconds:g} s", batch=args.batch)
            if args.device == "cpu":
                least = args.batch * needed[keep] / product_rate(args)
                row["limit"] = f"{statistics.median(times['stock']) / least:.2f}x"
            if keep is not None:
                alone = median_ratio(times["", None], times["", keep])
                row["of skipping alone"] = f"{alone:.2f}x"
                row["FLOP ideal"] = f"{needed[None] / needed[keep]:.2f}x"
            rows.append(row)
    return rows


def measure_mixed(args, models) -> List[Dict[str, str]]:
    """Utterances of different lengths: one by one, batched as they come, by length."""
    size = args.batch if args.batch > 1 else 4
    ways = {
        "1": in_batches(MIXED_SECONDS, 1),
        f"{size} as they come": in_batches(MIXED_SECONDS, size),
        f"{size} of like length": in_batches(sorted(MIXED_SECONDS), size),
    }
    batches = {
        way: [on_device(args, seconds) for seconds in parts]
        for way, parts in ways.items()
    }
    times = time_models(args, models, batches)
    rows = []
    for keep in (None, *args.keep):
        for way in ways:
            row = speed_row(times["stock"], times[way, keep], keep)
            row["audio"] = f"{len(MIXED_SECONDS)} x 2-16 s"
            rows.append({**row, "batch": way})
    return rows


@torch.inference_mode()
def time_models(args, models, ways) -> Dict:
    """Time the stock model, and the others on each way to batch the same audio.

    Args:
        args: the options.
        models: from ``build_models``.
        ways: batches by name; the stock model runs the first ones.

    Returns:
        Seconds of every round, by "stock" and by (way, keep), keep None for dense.
    """

    def over(run, batches):
        return lambda: [run(*batch) for batch in batches]

    first = next(iter(ways.values()))
    runs = {"stock": over(models["stock"], first)}
    for way, batches in ways.items():
        runs[way, None] = over(models["dense"], batches)
        for keep in args.keep:
            runs[way, keep] = over(partial(skip, models["skipping"], keep), batches)
    return interleaved(runs, args.repeats, clock(args.device, args.threads))


def speed_row(stock: List[float], times: List[float], keep) -> Dict[str, str]:
    """What every row of the table tells; ``keep`` None is the dense encoder."""
    return {
        "encoder": "dense" if keep is None else "skipping",
        "kept": "" if keep is None else f"{keep:.0%}",
        "stock [s]": f"{statistics.median(stock):.3f}",
        "time [s]": f"{statistics.median(times):.3f}",
        "speed-up": f"{median_ratio(stock, times):.2f}x",
    }


def in_batches(seconds: List[float], size: int) -> List[List[float]]:
    """Cut a list of lengths into batches."""
    return [seconds[i : i + size] for i in range(0, len(seconds), size)]


def on_device(args, seconds: List[float]):
    """Features (B, T_in, F) and lengths (B,) of utterances of these lengths."""
    return tuple(x.to(args.device) for x in utterances(seconds))


def multiply_adds(args, models, seconds: float) -> Dict[Optional[float], float]:
    """Arithmetic for one utterance, by kept ratio; None: the dense encoder.

    The accelerated encoder remembers its table of positions, so that one is free.
    """
    frames = (int(100 * seconds) - 1) // 2
    frames = (frames - 1) // 2
    state = models["stock"].state_dict()
    cost = encoder_cost(state, "conv2d", frames)
    cost = dataclasses.replace(cost, table=0.0)
    needed: Dict[Optional[float], float] = {None: cost.dense()}
    for keep in args.keep:
        needed[keep] = cost.skipping(args.gate, keep, args.factorized)
    return needed


def product_rate(args) -> float:
    """Multiply-adds a second of matrix products, by the faster of two libraries."""
    return max(product_rates(args.width, args.dtype).values())


@lru_cache
@torch.inference_mode()
def product_rates(width: int, dtype: str) -> Dict[str, float]:
    """Multiply-adds a second of ``torch``'s and of oneDNN's products at their best.

    Args:
        width: of the model; products of a feed-forward layer's shape are timed.
        dtype: of the arithmetic.
    """
    dtype = getattr(torch, dtype)
    linear = pack_linear(torch.randn(4 * width, width), None, dtype)
    rates = {"torch": 0.0, "oneDNN": 0.0}
    now = clock("cpu", torch.get_num_threads())  # as what is held against them
    for rows in (256, 1024):
        x = torch.randn(rows, width).to(dtype)
        runs = {
            "torch": partial(torch.nn.functional.linear, x, linear.weight),
            "oneDNN": partial(linear, x),
        }
        for name, spent in interleaved(runs, 3 * REPEATS, now).items():
            rate = rows * 4 * width**2 / min(spent)
            rates[name] = max(rates[name], rate)
    return rates


def build_models(args) -> Dict[str, GreedyModel]:
    """The stock model, the same accelerated, and one with a gate; same weights."""
    shape = (args.layers, args.width, args.heads or max(1, args.width // 64))
    head = scripted_ctc(args.width, 1.0, args.vocabulary, factorized=False)
    gate = scripted_ctc(args.width, 1.0, args.vocabulary, args.factorized)
    stock = GreedyModel(stock_conformer(*shape, rel_pos_type=args.rel_pos), head)
    gated = GreedyModel(conformer(*shape, args.gate, spike_extension=0), gate)
    gated.load_state_dict(stock.state_dict())
    models = {
        "stock": stock,
        "dense": accelerate(copy.deepcopy(stock), args.dtype),
        "unaccelerated": gated,
        "skipping": accelerate(copy.deepcopy(gated), args.dtype),
    }
    return {name: model.to(args.device).eval() for name, model in models.items()}


def skip(model: GreedyModel, keep: float, feats, lens) -> torch.Tensor:
    """Labels of the kept frames, with a gate that keeps a share of them."""
    model.ctc.keep_ratio = keep
    return model.skipping(feats, lens)


@torch.inference_mode()
def check_naive_twin() -> None:
    """A small accelerated encoder has to be the frame-by-frame definition."""
    encoder = conformer(4, 32, 2, 2).double().eval()
    feats, lens = utterances([1.4])
    feats = feats.double()
    ctc = splitting_ctc(encoder, feats, lens)
    want, depth = naive_encode(encoder, feats[0], ctc)
    got = accelerate(encoder).encode_frames(feats, lens, ctc)
    if not got.depth[0].equal(depth) or not 0 < got.kept_ratio < 1:
        raise Unequal("the accelerated gate keeps other frames than its naive twin")
    check("the skipping encoder from its naive twin", got.states[0], want, 1e-5)


@torch.inference_mode()
def check_models(args, models) -> None:
    """The timed models have to give what ESPnet and the unaccelerated gate give."""
    batch, tolerance = on_device(args, [3.1] * args.batch), TOLERANCE[args.dtype]
    want, got = (models[name].encoder(*batch)[0] for name in ("stock", "dense"))
    check("the dense encoder from ESPnet's", got, want, tolerance)
    encoded = []
    for name in ("unaccelerated", "skipping"):
        encoder, ctc = models[name].encoder, models[name].ctc
        ctc.keep_ratio = 0.3
        encoded.append(encoder.encode_frames(*batch, ctc).states)
    check("the skipping encoder from the unaccelerated one", *encoded, tolerance)


def check(what: str, got: torch.Tensor, want: torch.Tensor, tolerance: float) -> None:
    """Compare two outputs.

    Raises:
        Unequal: if they are farther apart than ``tolerance`` anywhere.
    """
    error = float((got - want).abs().max())
    if not error <= tolerance:
        raise Unequal(f"{what} differs by {error:.1e}, more than {tolerance:.0e}")
    print(f"{what} differs by {error:.0e}", flush=True)
