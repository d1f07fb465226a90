"""Training step with skipping on against the same model trained densely.

Forward and backward of the encoder with interCTC and final CTC loss on a batch of
padded utterances. Before anything is timed, the skipping encoder has to equal its
naive twin, outputs and gradients, in float64.
"""

import argparse
import copy
import statistics
from pathlib import Path

import torch

from benchmarks.models import (
    VOCABULARY,
    conformer,
    scripted_ctc,
    splitting_ctc,
    utterances,
)
from benchmarks.results import publish
from benchmarks.timing import REPEATS, clock, environment, interleaved, median_ratio
from espnet_blankskip.encoders.naive import naive_encode

TOLERANCE = 1e-5  # ESPnet's positional table is float32 whatever the weights are
COLUMNS = ["kept", "dense step [s]", "skipping step [s]", "speed-up"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks train_step", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--gate", type=int, default=6)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--keep", type=float, nargs="+", default=[0.15, 0.3, 0.5])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the ratios; exit code 1 if the outputs are not equal."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(args.threads)

    error = largest_difference_to_naive()
    if error > TOLERANCE:
        print(f"the fast path differs from its naive twin by {error:.1e}: not timed")
        return 1
    print(f"equal to the naive twin, outputs and gradients: {error:.0e} (float64)")

    seconds = [6 + 8 * i / max(1, args.batch - 1) for i in range(args.batch)]
    feats, lens = (x.to(args.device) for x in utterances(seconds))
    labels = torch.randint(1, VOCABULARY, (args.batch, 20), device=args.device)
    label_lens = torch.full((args.batch,), 20, device=args.device)
    encoder = conformer(args.layers, args.width, 4, args.gate).to(args.device)
    encoder.train()

    def step(train_skip: float, keep: float):
        ctc = scripted_ctc(args.width, keep).to(args.device)

        def run():
            encoder.train_skip = train_skip
            (out, intermediate), out_lens, _ = encoder(feats, lens, ctc=ctc)
            loss = ctc(out, out_lens, labels, label_lens)
            loss = loss + ctc(intermediate[0][1], out_lens, labels, label_lens)
            loss.backward()

        return run

    now, rows = clock(args.device, args.threads), []
    for keep in args.keep:
        runs = interleaved(
            {"dense": step(0.0, keep), "skipping": step(1.0, keep)}, args.repeats, now
        )
        kept = encoder.last_kept.sum() / (lens // 4 - 1).sum()
        row = {"kept": f"{float(kept):.0%}"}
        for name, spent in runs.items():
            row[f"{name} step [s]"] = f"{statistics.median(spent):.2f}"
        ratio = median_ratio(runs["dense"], runs["skipping"])
        rows.append({**row, "speed-up": f"{ratio:.2f}x"})
    about = (
        f"{environment()}, {args.device}; {args.layers} x {args.width}, gate after "
        f"{args.gate}, batch of {args.batch} utterances of 6 to 14 s; median of "
        f"{args.repeats} rounds"
    )
    publish("train_step", rows, COLUMNS, about, argv, args.save)
    return 0


def largest_difference_to_naive() -> float:
    """Largest difference of outputs and gradients to the naive twin, in float64."""
    fast = conformer(4, 16, 2, 2).double().eval()
    slow = copy.deepcopy(fast)
    feats, lens = utterances([0.9])
    feats = feats.double()
    ctc = splitting_ctc(fast, feats, lens)
    encoded = fast.encode_frames(feats, lens, ctc)
    if not 0 < encoded.kept_ratio < 1:
        raise RuntimeError("the equality check has to skip some frames, not all")
    out = encoded.states[0]
    twin = naive_encode(slow, feats[0], ctc)[0]
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    (out * weight).sum().backward()
    (twin * weight).sum().backward()
    differences = [(out - twin).abs().max()]
    for p, q in zip(fast.parameters(), slow.parameters()):
        if q.grad is not None:
            differences.append((p.grad - q.grad).abs().max())
    return float(max(differences))
