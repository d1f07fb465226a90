"""``blankskip transcribe``; see `espnet_blankskip.transcripts`.

The exit status is 0 if everything was transcribed, 1 if some or all of it could not
be, 2 for wrong options or an unusable model, 130 after Ctrl-C.
"""

import argparse
import shutil
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

from espnet_blankskip.audio.sources import is_pipe
from espnet_blankskip.bin.recognition_options import (
    ALIASES,
    DECODING,
    add_decoding_options,
    add_model_option,
    decoding_options,
)
from espnet_blankskip.command_parser import CommandParser, UsageError
from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.locks import locked
from espnet_blankskip.option_values import checked_count
from espnet_blankskip.transcripts.inputs import list_utterances
from espnet_blankskip.transcripts.provenance import (
    Provenance,
    ProvenWriter,
    refuse_input_as_output,
)
from espnet_blankskip.transcripts.recognizers import ENGINES
from espnet_blankskip.transcripts.records import Outcome
from espnet_blankskip.transcripts.run import CannotWrite, Run
from espnet_blankskip.transcripts.writers import FORMATS, is_stream, open_writer

#: Formats with room for one hypothesis.
ONE_BEST = ("text", "srt", "vtt")


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip transcribe",
        description="Transcribe audio files of any rate, number of channels and "
        "length. A file that cannot be used is named, and the rest goes on.",
        example="blankskip transcribe --model exp/asr_x talks/ --format srt --output "
        "subtitles/",
        aliases={**ALIASES, "--precision": ["--dtype"]},
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="audio file; folder, with all audio below it; list ending in .scp with "
        "lines 'ID PATH'; or '-': paths on standard input, one per line",
    )
    add_model_option(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="text: name, tab, transcript; jsonl: with words, times and confidences; "
        "srt, vtt: subtitles; espnet: hypothesis folders 1best_recog, ... (text)",
    )
    parser.add_argument(
        "--output",
        metavar="PATH",
        help="file, or for srt, vtt and espnet a folder; what is there already is "
        "continued (standard output)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write the output anew (write only what it lacks)",
    )
    add_decoding_options(parser)
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help="what runs the model: torch for checkpoints, the others for folders that "
        "blankskip export wrote (torch, onnxruntime)",
    )
    parser.add_argument(
        "--jobs",
        default=1,
        metavar="N",
        help="processes, of one thread each if more than one; results then come in "
        "the order in which they are done (1)",
    )
    return parser


def main(argv: List[str]) -> int:
    """Transcribe and return the exit status.

    Raises:
        ValueError, OSError: An option, the model or a list cannot be used.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    with parser.naming_options():
        return transcribe(args, decoding_options(parser, args, [*DECODING, "engine"]))


def transcribe(args: argparse.Namespace, options: Dict[str, Any]) -> int:
    """Transcribe and return the exit status.

    Args:
        args: Options of ``get_parser``.
        options: Those of the recognizer.

    Raises:
        ValueError, OSError: As ``main``.
    """
    args.jobs = checked_count("jobs", args.jobs, 1)
    if args.overwrite and args.output is None:
        raise UsageError("--overwrite: there is nothing to write anew without --output")
    if hasattr(sys.stdin, "reconfigure"):  # names of files need not be UTF-8
        sys.stdin.reconfigure(errors="surrogateescape")
    utterances = list_utterances(args.inputs, sys.stdin, args.format != "espnet")
    pipe = next((u.path for u in utterances if is_pipe(u.path)), None)
    if pipe is not None and args.jobs > 1:
        raise ValueError(f"{pipe} is a pipe, which --jobs {args.jobs} cannot share")
    with ExitStack() as at_end:
        if args.output is not None:
            refuse_input_as_output(
                Path(args.output),
                [*args.inputs, *(utterance.path for utterance in utterances)],
            )
            at_end.enter_context(locked(Path(args.output), "blankskip transcribe"))
            at_end.enter_context(nothing_left_of_nothing(Path(args.output)))
        return transcribe_rest(args, options, utterances)


@contextmanager
def nothing_left_of_nothing(output: Path) -> Iterator[None]:
    """Remove a new output that an error in here leaves without a byte in it."""
    was_there = output.exists()
    try:
        yield
    except (ValueError, OSError):
        if not was_there and output.exists():
            files = [output] if output.is_file() else [*output.rglob("*")]
            if not any(file.stat().st_size for file in files if file.is_file()):
                output.unlink() if output.is_file() else shutil.rmtree(output)
        raise


def transcribe_rest(
    args: argparse.Namespace, options: Dict[str, Any], utterances: Sequence[Utterance]
) -> int:
    """Transcribe what the output lacks, and return the exit status.

    Args:
        args, options: As for ``transcribe``.
        utterances: All that is asked for.

    Raises:
        ValueError, OSError: As ``main``.
    """
    writer = open_writer(args.format, args.output, utterances, args.overwrite)
    if args.output is not None and not is_stream(args.output):
        made_of = Provenance(Path(args.output))
        by = {"model": args.checkpoint, **options}
        for line in made_of.compare(writer.done, utterances, by):
            _say(line)
        writer = ProvenWriter(writer, made_of)
    waiting = [u for u in utterances if u.utt_id not in writer.done]
    if len(waiting) < len(utterances):
        _say(
            f"{args.output}: {len(utterances) - len(waiting)} of {len(utterances)} are "
            "there already (--overwrite does them again)"
        )
    if args.format in ONE_BEST and options.get("nbest", 1) not in (1, "1"):
        _say(f"--format {args.format} writes the best of {options['nbest']} hypotheses")
    run = Run(writer, len(waiting), _say)
    try:
        run.take(_decode(waiting, args, options))
        run.finish(utterances)
    except CannotWrite as error:
        _say(f"cannot write the output: {error}; {_how_to_go_on(run, args)}")
        return 1
    except KeyboardInterrupt:
        _say(f"interrupted; {_how_to_go_on(run, args)}")
        return 130
    finally:
        run.close()
    if waiting:
        _say(run.summary())
    return 1 if run.failed else 0


def _decode(
    utterances: Sequence[Utterance], args: argparse.Namespace, options: Dict[str, Any]
) -> Iterator[Outcome]:
    """Decode, in this process or in others; nothing is imported for nothing."""
    if not utterances:
        return iter(())
    from espnet_blankskip.transcripts.decoder import Decoder, say_warnings_to

    say_warnings_to(_say)
    if args.jobs > 1 and len(utterances) > 1:
        from espnet_blankskip.transcripts.workers import decode_in_processes

        return decode_in_processes(utterances, args.checkpoint, options, args.jobs)
    return map(Decoder(args.checkpoint, options), utterances)


def _how_to_go_on(run: Run, args: argparse.Namespace) -> str:
    text = f"{run.done} of {run.total} are done"
    if args.output is None:
        return text
    same = " without --overwrite" if args.overwrite else ""
    return f"{text}, and the same command{same} goes on from there"


def _say(line: str) -> None:
    """Write a line to standard error, above a progress bar."""
    line = f"blankskip transcribe: {line}"
    if not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
        return
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
