"""ESPnet's joint CTC/attention search over an accelerated and a skipping encoder.

A hybrid model with random weights (conformer, transformer decoder) is decoded for a
given number of tokens by ESPnet's own ``Speech2Text``: as it is, after ``accelerate``
on its ``asr_model``, and with a gate that keeps a given share of the frames. First,
acceleration has to leave the hypotheses of both as they were.
"""

import argparse
import math
import statistics
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Callable, Dict

import torch
import yaml

from benchmarks.asr_inference import NOTHING_SKIPPED, espnet_recognizer, nbest
from benchmarks.models import conformer_options
from benchmarks.results import publish
from benchmarks.timing import REPEATS, clock, environment, interleaved, median_ratio
from espnet_blankskip.acceleration import accelerate

BEAM = 10
BLANK_THRESHOLD = 0.95
COLUMNS = ["encoder", "encoder [s]", "encoder speed-up", "whole [s]", "whole speed-up"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks joint", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--gate", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--tokens", type=int, default=10, help="to decode")
    parser.add_argument("--keep", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the table; exit code 1 if the hypotheses differ."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    speech = 0.1 * torch.randn(int(16000 * args.seconds), generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        files = write_model(args, speech, Path(folder))
        stock, fast, skipping = (
            espnet_recognizer(
                *files,
                threshold,
                ctc_weight=0.3,
                beam_size=BEAM,
                maxlenratio=-args.tokens,
            )
            for threshold in (NOTHING_SKIPPED, NOTHING_SKIPPED, BLANK_THRESHOLD)
        )
    for recognizer in (fast, skipping):
        before = hypotheses(recognizer, speech)
        accelerate(recognizer.asr_model)
        if hypotheses(recognizer, speech) != before:
            print("not timed: acceleration changes the hypotheses")
            return 1
    print("acceleration leaves the hypotheses as they were")

    recognizers = {"ESPnet's": stock, "accelerated": fast}
    recognizers[f"skipping, {kept_ratio(skipping, speech):.0%} kept"] = skipping
    runs: Dict[object, Callable] = {}
    for name, recognizer in recognizers.items():
        runs[name, "encoder"] = encoding(recognizer, speech)
        runs[name, "whole"] = lambda recognizer=recognizer: recognizer(speech)
    times = interleaved(runs, args.repeats, clock("cpu", args.threads))
    rows = []
    for name in recognizers:
        row = {"encoder": name}
        for part in ("encoder", "whole"):
            spent = times[name, part]
            ratio = median_ratio(times["ESPnet's", part], spent)
            row[f"{part} [s]"] = f"{statistics.median(spent):.3f}"
            row[f"{part} speed-up"] = f"{ratio:.2f}x"
        rows.append(row)
    about = (
        f"{environment()}; {args.layers} x {args.width}, 6-layer decoder, random "
        f"weights, vocabulary {args.vocabulary}, ctc_weight 0.3, beam {BEAM}, "
        f"{args.tokens} tokens from {args.seconds:g} s, float32; median of "
        f"{args.repeats} rounds"
    )
    publish("joint", rows, COLUMNS, about, argv, args.save)
    return 0


def write_model(args, speech: torch.Tensor, folder: Path):
    """Write a hybrid model as ESPnet does; return configuration and weights."""
    import espnet_blankskip
    from espnet_blankskip.upstream import asr_task

    espnet_blankskip.register()
    tokens = ["<blank>", "<unk>", *(f"t{i}" for i in range(args.vocabulary - 3))]
    encoder = conformer_options(args.layers, args.width, max(1, args.width // 64))
    gate = dict(interctc_layer_idx=[args.gate], gate_layers=[args.gate])
    decoder = dict(attention_heads=4, linear_units=2048, num_blocks=6)
    config = dict(
        token_list=[*tokens, "<sos/eos>"], token_type="word", bpemodel=None,
        use_preprocessor=True, non_linguistic_symbols=None, cleaner=None, g2p=None,
        init=None, input_size=None, frontend="default", frontend_conf={},
        specaug=None, normalize="utterance_mvn", normalize_conf={},
        preencoder=None, postencoder=None, decoder="transformer", decoder_conf=decoder,
        encoder="blankskip_conformer",
        encoder_conf={**encoder, **gate, "spike_extension": 0},
        ctc_conf={}, model="blankskip",
        model_conf=dict(ctc_weight=0.3, interctc_weight=0.3),
    )  # fmt: skip
    torch.manual_seed(0)
    model = asr_task().build_model(Namespace(**config)).eval()
    make_blank(model, speech, args.gate, args.keep)
    torch.save(model.state_dict(), folder / "model.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(folder / "config.yaml"), str(folder / "model.pth")


@torch.no_grad()
def make_blank(model, speech: torch.Tensor, gate: int, keep: float) -> None:
    """Move the blank's bias to where the gate keeps the given share of frames."""
    model.encoder.set_gate(blank_threshold=NOTHING_SKIPPED)
    _, intermediate = model.encode(speech[None], torch.tensor([len(speech)]))[0]
    logits = model.ctc.ctc_lo(intermediate[0][1][0])
    odds = logits[:, 0] - logits[:, 1:].logsumexp(-1)
    wanted = math.log(BLANK_THRESHOLD / (1 - BLANK_THRESHOLD))
    model.ctc.ctc_lo.bias[0] += wanted - odds.quantile(keep)


def hypotheses(recognizer, speech: torch.Tensor):
    """Token ids of the n-best list."""
    return [ids for _, _, ids, _ in nbest(recognizer(speech))]


@torch.no_grad()
def kept_ratio(recognizer, speech: torch.Tensor) -> float:
    """Share of the frames that the gate keeps."""
    model = recognizer.asr_model
    _, lens = model.encode(speech[None], torch.tensor([len(speech)]))
    return float(model.encoder.last_kept.sum() / lens.sum())


def encoding(recognizer, speech: torch.Tensor) -> Callable[[], None]:
    """A run of the front-end and encoder alone."""
    lens = torch.tensor([len(speech)])

    @torch.no_grad()
    def run() -> None:
        recognizer.asr_model.encode(speech[None], lens)

    return run
