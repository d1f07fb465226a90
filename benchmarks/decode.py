"""Whole decoding of a test set against ESPnet's ``Speech2Text`` (``asr_inference``).

One trained checkpoint, the same utterances one by one, waveform to text: ESPnet's CTC
prefix search (``ctc_weight: 1.0``, no language model) over its dense encoder, which is
the stock one bit for bit, and ours, greedily and with the same beam. Before anything is
timed, our dense pass has to give the stock encoder's best labels on every utterance,
and a list of all of them what they give one by one.
"""

import argparse
import os
import statistics
from pathlib import Path
from typing import Callable, Dict, List, Optional

import numpy as np
import torch

from benchmarks.asr_inference import espnet_recognizer, nbest
from benchmarks.results import publish
from benchmarks.timing import REPEATS, clock, environment, interleaved, median_ratio
from espnet_blankskip.audio.reading import read_audio
from espnet_blankskip.decoding.greedy import greedy_on_full_output
from espnet_blankskip.evaluation.scoring import score_texts
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.kaldi.lists import read_table

COLUMNS = ["decoding", "WER %", "RTF", "speed-up"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks decode", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--exp", required=True, help="experiment folder with a gate")
    parser.add_argument("--model-file", default="valid.loss.ave.pth")
    parser.add_argument("--data", required=True, help="folder: wav.scp and text")
    parser.add_argument(
        "--recipe", default=".", help="folder that all these paths start from"
    )
    parser.add_argument("--utterances", type=int, default=40, help="the first N")
    parser.add_argument(
        "--join",
        type=float,
        metavar="SECONDS",
        help="string utterances together until they are this long",
    )
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help="folder to keep the result in")
    return parser


def main(argv) -> int:
    """Print the table; exit code 1 if what must be equal is not."""
    args = get_parser().parse_args(argv)
    folder = args.save and args.save.resolve()
    os.chdir(args.recipe)  # ESPnet's configurations name their files from there
    torch.set_num_threads(args.threads)
    config = str(Path(args.exp) / "config.yaml")
    model_file = str(Path(args.exp) / args.model_file)
    ours = BlankSkipSpeech2Text(config, model_file)
    speech, references = read_set(
        Path(args.data), ours.sample_rate, args.utterances, args.join
    )
    seconds = sum(len(samples) for samples in speech) / ours.sample_rate

    stocks = {
        beam: espnet_recognizer(config, model_file, ctc_weight=1.0, beam_size=beam)
        for beam in args.beams
    }
    problem = what_differs(next(iter(stocks.values())).asr_model, ours, speech)
    if problem:
        print(f"not timed: {problem}")
        return 1
    print(
        f"our dense pass gives the stock encoder's labels on {len(speech)} utterances"
    )

    runs: Dict[str, Callable[[], List[str]]] = {}
    for beam, stock in stocks.items():
        name = base = f"asr_inference, beam {beam}"
        runs[name] = one_by_one(
            speech, lambda x, stock=stock: nbest(stock(x))[0][0] or ""
        )
    for mode in ("dense", "skipping"):
        runs[f"ours, {mode}"] = in_mode(
            ours, mode, one_by_one(speech, lambda x: ours(x).text)
        )
    runs["ours, skipping, as one list"] = in_mode(
        ours, "skipping", lambda: [result.text for result in ours(speech)]
    )
    beam = args.beams[-1]
    searching = BlankSkipSpeech2Text(config, model_file, beam_size=beam)
    runs[f"ours, skipping, beam {beam}"] = one_by_one(
        speech, lambda x: searching(x).text
    )

    texts = {name: run() for name, run in runs.items()}
    if texts["ours, skipping, as one list"] != texts["ours, skipping"]:
        print("not timed: a list gives another text than its utterances one by one")
        return 1
    times = interleaved(runs, args.repeats, clock("cpu", args.threads))
    rows = [
        {
            "decoding": name,
            "WER %": f"{score_texts(references, texts[name], 'wer')[0]['percent']:.2f}",
            "RTF": f"{statistics.median(spent) / seconds:.4f}",
            "speed-up": f"{median_ratio(times[base], spent):.1f}x",
        }
        for name, spent in times.items()
    ]
    about = (
        f"{environment()}; {Path(args.exp).name}, {len(ours.token_list)} tokens, "
        f"{len(speech)} utterances, {seconds / 60:.1f} minutes, float32, batch 1; "
        f"median of {args.repeats} rounds, speed-up over {base}"
    )
    publish("decode", rows, COLUMNS, about, argv, folder)
    return 0


def read_set(folder: Path, rate: int, number: int, join: Optional[float]):
    """Read a test set.

    Args:
        folder: with `wav.scp` and `text`.
        rate: sampling rate in Hz.
        number: utterances to return.
        join: seconds until which neighbours are strung together; None: as they are.

    Returns:
        Samples and transcripts.
    """
    texts = read_table(folder / "text")
    speech, references = [], []
    whole = True  # whether the last one is long enough
    for name, path in read_table(folder / "wav.scp").items():
        samples = read_audio(path, name, rate)
        if whole and len(speech) == number:
            break
        if whole:
            speech.append(samples)
            references.append(texts[name])
        else:
            speech[-1] = np.concatenate([speech[-1], samples])
            references[-1] += f" {texts[name]}"
        whole = join is None or len(speech[-1]) >= join * rate
    return speech, references


def one_by_one(speech, recognize: Callable) -> Callable[[], List[str]]:
    """A run over all utterances."""
    return lambda: [recognize(samples) for samples in speech]


def in_mode(ours: BlankSkipSpeech2Text, mode: str, run: Callable) -> Callable:
    """The same run with frames as deep as the mode says."""

    def with_mode():
        ours.set_mode(mode)
        return run()

    return with_mode


@torch.no_grad()
def what_differs(model, ours: BlankSkipSpeech2Text, speech) -> str:
    """What our dense pass and argmax over the stock encoder's output disagree on."""
    ours.set_mode("dense")
    different = 0
    for samples in speech:
        lens = torch.tensor([len(samples)])
        states, _ = model.encode(torch.from_numpy(samples)[None], lens)
        states = states[0] if isinstance(states, tuple) else states
        path = greedy_on_full_output(model.ctc.log_softmax(states)[0])
        different += path.token_int != ours(samples).token_int
    return f"our dense pass differs on {different} utterances" if different else ""
