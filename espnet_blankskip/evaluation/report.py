"""One table and two pictures of a trained experiment.

`python -m espnet_blankskip.evaluation.report --asr_exp exp/asr_x --test_set test`
decodes the test set with the same checkpoint run densely, skipping, and stopped at the
gate, measures their speed side by side, prints one table and writes it into the
experiment's `RESULTS.md` with everything needed to repeat it.
"""

import argparse
import shlex
import sys
import warnings
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import torch

from espnet_blankskip.audio.reading import BadAudio
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.evaluation.illustrations import (
    choose_utterance,
    depth_picture,
    sweep_picture,
)
from espnet_blankskip.evaluation.measure import (
    MIN_REPEATS,
    Accuracy,
    LoadedUtterance,
    Speed,
    compare,
)
from espnet_blankskip.evaluation.modes import (
    ASR_INFERENCE,
    DENSE,
    PLAIN,
    SKIPPING,
    STOCK,
    table_settings,
)
from espnet_blankskip.evaluation.results_file import (
    environment,
    markdown_table,
    set_title,
    speech_kind,
    write_section,
)
from espnet_blankskip.exit_status import UNUSABLE_FILES, run_command
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.kaldi.lists import count_lines, read_table
from espnet_blankskip.kaldi.recordings import read_recordings
from espnet_blankskip.kaldi.utterances import DROPPED
from espnet_blankskip.kaldi.whole_file import try_to_write
from espnet_blankskip.terminal import log

THRESHOLDS = (0.5, 0.7, 0.9, 0.95, 0.99, 0.999)


def get_parser() -> CommandParser:
    """Return the command line's parser."""
    parser = CommandParser(
        prog="python -m espnet_blankskip.evaluation.report",
        description="Error rates and speed of an experiment, dense against skipping",
        example="python -m espnet_blankskip.evaluation.report --asr_exp exp/asr_x",
        aliases={
            "--inference-config": ["--inference-configs"],
            "--thresholds": ["--blank-threshold"],
        },
    )
    parser.add_argument(
        "--asr_exp", type=Path, required=True, metavar="DIR", help="the experiment"
    )
    parser.add_argument(
        "--asr_model_file",
        default="valid.loss.ave.pth",
        metavar="PTH",
        help="weights in it (valid.loss.ave.pth)",
    )
    parser.add_argument(
        "--test_set", default="test", metavar="NAME", help="set to decode (test)"
    )
    parser.add_argument(
        "--dumpdir",
        type=Path,
        default=Path("dump"),
        metavar="DIR",
        help="formatted data (dump)",
    )
    parser.add_argument(
        "--feats_type", default="raw", metavar="NAME", help="folder in it (raw)"
    )
    parser.add_argument(
        "--inference_configs",
        nargs="*",
        default=[],
        metavar="YAML",
        help="decode configs, one row each beside dense, skipping and intermediate "
        "(none)",
    )
    parser.add_argument(
        "--num_threads", type=int, default=1, metavar="N", help="threads of torch (1)"
    )
    parser.add_argument(
        "--timing_repeats",
        type=int,
        default=MIN_REPEATS,
        metavar="N",
        help=f"repeats of the speed measurement, at least {MIN_REPEATS} "
        f"({MIN_REPEATS})",
    )
    parser.add_argument(
        "--timing_seconds",
        type=float,
        default=45.0,
        metavar="SECONDS",
        help="time to spend on it; as many utterances are measured as fit (45)",
    )
    parser.add_argument(
        "--sweep_seconds",
        type=float,
        default=25.0,
        metavar="SECONDS",
        help="time to spend on the picture of thresholds (25)",
    )
    parser.add_argument(
        "--blank_threshold",
        type=float,
        nargs="+",
        default=THRESHOLDS,
        metavar="P",
        help=f"thresholds in it ({' '.join(map(str, THRESHOLDS))})",
    )
    parser.add_argument(
        "--utterance", metavar="ID", help="which one to draw (a typical one)"
    )
    return parser


def main(cmd: Optional[Sequence[str]] = None) -> int:
    """Measure, print, write; return the exit status (2 for wrong options)."""
    words = list(sys.argv[1:] if cmd is None else cmd)
    command = shlex.join(["python", "-m", "espnet_blankskip.evaluation.report", *words])

    def run() -> int:
        args = get_parser().parse_args(words)
        # ESPnet's own, once per model, into the middle of a progress bar.
        warnings.filterwarnings("ignore", message=".*cuda.amp.autocast")
        make_report(args, command)
        return 0

    return run_command("report", run, usage_errors=(ValueError, *UNUSABLE_FILES))


def make_report(args: argparse.Namespace, command: str) -> None:
    """Do all of it for one test set.

    Args:
        args: Options of `get_parser`.
        command: The command line, to be written beside the results.

    Raises:
        ValueError, OSError: An option is wrong, or a file cannot be used.
    """
    if args.timing_repeats < MIN_REPEATS:
        raise ValueError(
            f"--timing_repeats {args.timing_repeats} must be at least {MIN_REPEATS}: "
            "fewer do not give a median to rely on"
        )
    try_to_write(args.asr_exp / "RESULTS.md")
    torch.set_num_threads(args.num_threads)
    log(f"Report: loading {args.asr_exp / args.asr_model_file}")
    files = args.asr_exp / "config.yaml", args.asr_exp / args.asr_model_file
    speech2text, rows = table_settings(*files, args.inference_configs)
    utterances, lost = read_set(
        args.dumpdir / args.feats_type / args.test_set, speech2text
    )

    compared = compare(
        rows,
        utterances,
        DENSE,
        "report",
        args.timing_repeats,
        args.timing_seconds,
        list(lost.values()),
    )
    passed = compared.passed
    table = results_table(compared.accuracies, compared.speeds)

    pictures: List[Tuple[Path, str]] = []
    if speech2text.can_skip:
        images = args.asr_exp / "images"
        number = choose_utterance(utterances, passed[SKIPPING], args.utterance)
        pictures = [
            sweep_picture(
                speech2text,
                utterances,
                passed,
                args.blank_threshold,
                args.sweep_seconds,
                images / f"wer_speed_vs_threshold_{args.test_set}.png",
            ),
            depth_picture(
                speech2text, utterances[number], passed[SKIPPING][number], images
            ),
        ]
    section = section_text(
        args, command, speech2text, utterances, lost, compared.timed, table, pictures
    )
    title = set_title(args.test_set, args.dumpdir / args.feats_type / args.test_set)
    print(f"\n{args.asr_exp.name}, {title}\n\n{table}\n", flush=True)
    write_section(args.asr_exp / "RESULTS.md", args.test_set, section)
    log(f"Report: written to {args.asr_exp / 'RESULTS.md'}")
    for path, _ in pictures:
        log(f"Report: picture {path}")


def read_set(
    folder: Path, speech2text: BlankSkipSpeech2Text
) -> Tuple[List[LoadedUtterance], Dict[str, str]]:
    """Read a test set into memory.

    Returns:
        The utterances that can be recognized, and the references of the others by id:
        a test set stays whole.

    Raises:
        ValueError: None can be used, or the lists are wrong.
        OSError: A list cannot be read.
    """
    paths = read_table(folder / "wav.scp")
    references = read_table(folder / "text")
    lost: Dict[str, str] = {}

    def fail(error: BadAudio) -> None:
        lost[error.utt_id] = references[error.utt_id]
        log(f"Report: counts as deleted: {error}")

    for utt_id in [utt_id for utt_id in paths if utt_id not in references]:
        log(f"Report: left out '{utt_id}': no reference in {folder / 'text'}")
        del paths[utt_id]
    utterances = [
        LoadedUtterance(utt_id, samples, references[utt_id])
        for utt_id, samples in read_recordings(
            paths, fail, speech2text.sample_rate, speech2text.min_samples
        )
    ]
    if not utterances:
        raise ValueError(f"no utterance of {folder} can be used")
    return utterances, lost


def results_table(accuracies: Dict[str, Accuracy], measured: Dict[str, Speed]) -> str:
    """Return the table in Markdown, aligned for the terminal."""
    header = ["decoding", "WER %", "CER %", "kept %", "encoder RTF", "total RTF"]
    header += ["speed-up"]
    theirs = measured.get(ASR_INFERENCE)
    if theirs:
        header += ["over asr_inference"]
    rows = []
    for name, a in accuracies.items():
        s = measured[name]
        row = [name, f"{a.wer:.2f}", f"{a.cer:.2f}", f"{a.kept:.1f}"]
        row += [f"{s.encoder_rtf:.4f}", f"{s.total_rtf:.4f}", f"{s.speed_up:.2f}x"]
        if theirs:
            row += [f"{theirs.total_rtf / s.total_rtf:.2f}x"]
        rows.append(row)
    return markdown_table(header, rows)


def section_text(
    args, command, speech2text, utterances, lost, timed, table, pictures
) -> str:
    """Return what RESULTS.md says about one test set."""
    seconds = sum(len(u.samples) for u in utterances) / speech2text.sample_rate
    folder = args.dumpdir / args.feats_type / args.test_set
    kind = speech_kind(args.test_set, folder)
    dropped = count_lines(folder / DROPPED)
    lines = [
        table,
        "",
        f"All rows come from the same checkpoint. `{ASR_INFERENCE}`: ESPnet's own "
        "command with CTC alone, prefix search over all frames. "
        f"`{STOCK}`: ESPnet's encoder; it and the others search greedily. `{PLAIN}`: "
        "not accelerated; the other rows of ours are. `kept %`: frames that ran "
        "through every encoder layer. `encoder RTF`: front-end, normalization and "
        "encoder; `total RTF`: with CTC head, search and detokenization. `speed-up`: "
        f"total time against `{DENSE}`, in the same run. Medians of "
        f"{args.timing_repeats} repeats on {timed} utterances from the shortest to "
        "the longest, one utterance at a time, the rows taking turns.",
        "",
        f"- data: {set_title(args.test_set, folder)}, {len(utterances)} utterances, "
        f"{seconds / 60:.1f} minutes, {kind} speech"
        + (f"; {len(lost)} more count as deleted ({', '.join(lost)})" if lost else "")
        + (f"; {dropped} left out of the set itself" if dropped else ""),
        f"- model: {args.asr_exp.name}/{args.asr_model_file}, "
        f"{describe_model(speech2text)}",
        *(f"- {name}: {value}" for name, value in environment(args.num_threads)),
        f"- command: `{command}`",
    ]
    for path, caption in pictures:
        lines += ["", f"![{caption}]({path.relative_to(args.asr_exp)})", "", caption]
    return "\n".join(lines)


def describe_model(speech2text: BlankSkipSpeech2Text) -> str:
    """Return encoder, size and gate in words."""
    model, encoder = speech2text.asr_model, speech2text.asr_model.encoder
    size = sum(p.numel() for p in model.parameters()) / 1e6
    words = (
        f"{speech2text.asr_train_args.encoder}, {speech2text.num_layers} layers x "
        f"{encoder.output_size()}, {size:.1f} M parameters"
    )
    if speech2text.can_skip:
        given = encoder.gate_options.given()
        gates = ", ".join(map(str, given.pop("gate_layers")))
        others = ", ".join(f"{name} {value}" for name, value in given.items())
        words += f", gate after layer {gates}, {others}"
    return words


if __name__ == "__main__":
    sys.exit(main())
