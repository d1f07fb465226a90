"""Whole decoding of a test set against ESPnet's ``Speech2Text`` (``asr_inference``).

One trained checkpoint, the same utterances one by one, waveform to text: ESPnet's CTC
prefix search (``ctc_weight: 1.0``, no language model) over its dense encoder, which is
the stock one bit for bit, and ours. Our dense pass has to give the stock encoder's best
labels on every utterance, or nothing is timed.
"""

import argparse
import sys
from pathlib import Path
from typing import Callable, Dict, List

import torch

from benchmarks.table import save_or_print
from benchmarks.timing import REPEATS, environment, interleaved, median_ratio
from espnet_blankskip.audio.reading import read_audio
from espnet_blankskip.audio.utterance_list import read_utterances
from espnet_blankskip.decoding.greedy import greedy_on_full_output
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.recipe.scoring import score_texts

NOTHING_SKIPPED = 1.01  # a blank threshold above 1
COLUMNS = ["decoding", "WER %", "RTF", "speed-up"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks decode", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--exp", required=True, help="experiment folder with a gate")
    parser.add_argument("--model-file", default="valid.loss.ave.pth")
    parser.add_argument("--data", required=True, help="folder: wav.scp and text")
    parser.add_argument("--utterances", type=int, default=40, help="the first N")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", help="Markdown file to add the table to")
    return parser


def main(argv=None) -> int:
    """Print the table; exit code 1 if our dense pass is not the stock encoder's."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    config = str(Path(args.exp) / "config.yaml")
    model_file = str(Path(args.exp) / args.model_file)
    ours = BlankSkipSpeech2Text(config, model_file)
    names = list(read_utterances(Path(args.data) / "wav.scp").items())
    names = names[: args.utterances]
    references = read_utterances(Path(args.data) / "text")
    speech = [read_audio(path, name, ours.sample_rate) for name, path in names]
    seconds = sum(len(samples) for samples in speech) / ours.sample_rate

    candidates: Dict[str, Callable[[], List[str]]] = {}
    for beam in args.beams:
        stock = _stock(config, model_file, beam)
        candidates[f"asr_inference, beam {beam}"] = _all(
            speech, lambda samples, stock=stock: _best_text(stock(samples))
        )
    different = _compare(stock.asr_model, ours, speech)
    if different:
        print(f"our dense pass differs on {different} utterances: not timed")
        return 1
    for mode in ("dense", "skipping"):
        candidates[f"ours, {mode}"] = _all(
            speech, lambda samples, mode=mode: _in_mode(ours, mode, samples)
        )

    texts = {name: run() for name, run in candidates.items()}
    times = interleaved(candidates, args.repeats)
    base = f"asr_inference, beam {args.beams[-1]}"
    wanted = [references[name] for name, _ in names]
    rows = [
        {
            "decoding": name,
            "WER %": f"{score_texts(wanted, texts[name], 'wer')[0]['percent']:.2f}",
            "RTF": f"{sorted(spent)[len(spent) // 2] / seconds:.4f}",
            "speed-up": f"{median_ratio(times[base], spent):.1f}x",
        }
        for name, spent in times.items()
    ]
    print(f"our dense pass gives the stock encoder's labels on {len(names)} utterances")
    about = f"{environment()}; {len(names)} utterances, {seconds / 60:.1f} minutes"
    save_or_print("decode", rows, COLUMNS, about, args.save, argv)
    return 0


def _stock(config: str, model_file: str, beam: int):
    """ESPnet's Speech2Text, CTC only, with every frame through every layer."""
    from espnet_blankskip.upstream import speech2text_class

    stock = speech2text_class()(
        config, model_file, ctc_weight=1.0, beam_size=beam, lm_weight=0.0
    )
    if getattr(stock.asr_model.encoder, "gate_layers", None):
        stock.asr_model.encoder.set_gate(blank_threshold=NOTHING_SKIPPED)
    return stock


def _best_text(result) -> str:
    # with intermediate CTC the n-best list comes in a pair
    nbest = result[0] if isinstance(result, tuple) else result
    return nbest[0][0] or ""


def _in_mode(ours: BlankSkipSpeech2Text, mode: str, samples) -> str:
    ours.set_mode(mode)
    return ours(samples).text


def _all(speech, recognize: Callable) -> Callable[[], List[str]]:
    return lambda: [recognize(samples) for samples in speech]


@torch.no_grad()
def _compare(model, ours: BlankSkipSpeech2Text, speech) -> int:
    """Utterances whose labels differ from argmax over the stock encoder's output."""
    ours.set_mode("dense")
    different = 0
    for samples in speech:
        lens = torch.tensor([len(samples)])
        states, _ = model.encode(torch.from_numpy(samples)[None], lens)
        states = states[0] if isinstance(states, tuple) else states
        path = greedy_on_full_output(model.ctc.log_softmax(states)[0])
        different += path.token_int != ours(samples).token_int
    return different


if __name__ == "__main__":
    sys.exit(main())
