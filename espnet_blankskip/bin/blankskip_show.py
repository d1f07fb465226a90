"""``blankskip show FILE``; see `espnet_blankskip.pictures.depth`."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from espnet_blankskip.bin.recognition_options import (
    ALIASES,
    DECODING,
    add_decoding_options,
    add_model_option,
    decoding_options,
)
from espnet_blankskip.command_parser import CommandParser
from espnet_blankskip.kaldi.whole_file import try_to_write
from espnet_blankskip.option_values import as_number, checked_count, checked_number
from espnet_blankskip.terminal import quiet_import

logger = logging.getLogger(__name__)

#: Shown of a longer file where nothing else is asked for, and the most there is room
#: for.
DEFAULT_SECONDS, MAX_SECONDS = 30.0, 300.0


def get_parser() -> CommandParser:
    """Return the parser."""
    parser = CommandParser(
        prog="blankskip show",
        description="Draw a file's spectrogram, the words recognized in it, the "
        "encoder layers that each frame ran through, and its blank probability.",
        example="blankskip show --model exp/asr_x talk.flac --start 60 --end 75",
        aliases=ALIASES,
    )
    parser.add_argument("file", help="audio file of any rate and number of channels")
    add_model_option(parser)
    parser.add_argument(
        "--output", metavar="PNG", help="picture to write (FILE's name with .png)"
    )
    parser.add_argument(
        "--start", default=0.0, metavar="SECONDS", help="where the picture begins (0)"
    )
    parser.add_argument(
        "--end",
        metavar="SECONDS",
        help=f"where it ends (the end of the file, at most {DEFAULT_SECONDS:g} s on)",
    )
    add_decoding_options(parser, without=("nbest",))
    return parser


def main(argv: List[str]) -> int:
    """Recognize and draw.

    Raises:
        ValueError, OSError: An option, the model or the file cannot be used.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    with parser.naming_options():
        names = [name for name in DECODING if name != "nbest"]
        return show(args, decoding_options(parser, args, names))


def show(args: argparse.Namespace, options: Dict[str, Any]) -> int:
    """Recognize and draw.

    Args:
        args: Options of ``get_parser``.
        options: Those of the recognizer.

    Raises:
        ValueError, OSError: As ``main``.
    """
    first, last = check_selection(args.start, args.end)
    output = Path(args.output or Path(args.file).with_suffix(".png").name)
    if output.suffix.lower() != ".png":
        raise ValueError(f"output={output} must end in .png")
    try_to_write(output)
    try:
        picture = quiet_import("espnet_blankskip.pictures.depth")
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise ValueError(
            "needs matplotlib: pip install 'espnet_blankskip[recipe]'"
        ) from None
    from espnet_blankskip.audio.stream import AudioReader
    from espnet_blankskip.transcripts.decoder import say_warnings_to

    say_warnings_to(lambda line: print(f"blankskip show: {line}", file=sys.stderr))
    inference = quiet_import("espnet_blankskip.inference.speech2text")
    channel = options.pop("channel", None)  # chosen before the model hears anything
    speech2text = inference.BlankSkipSpeech2Text.from_pretrained(
        args.checkpoint, **options
    )
    if channel is not None:
        channel = checked_count("channel", channel)
    reader = AudioReader(speech2text.sample_rate, channel)
    samples = read_selection(reader, args.file, first, last)
    name = Path(args.file).name
    result = speech2text(samples, utt_id=name)
    encoder = speech2text.asr_model.encoder
    picture.draw_depth(
        picture.DepthPicture(
            utt_id=name,
            samples=samples,
            sample_rate=speech2text.sample_rate,
            result=result,
            clock=speech2text.clock,
            gate_layers=[] if result.blank_prob is None else list(encoder.gate_layers),
            num_layers=speech2text.num_layers,
            blank_threshold=getattr(encoder, "blank_threshold", None),
            begin=first,
            of_words=True,
        ),
        output,
    )
    print(f"{output}: {result.text}")
    return 0


def check_selection(start: float, end: Optional[float]):
    """Return the seconds to show at most.

    Raises:
        ValueError: They are no stretch of time, or one too long for a picture.
    """
    first = as_number(start)
    if not 0.0 <= first < float("inf"):
        raise ValueError(f"start={start} must be 0 or more")
    start = first
    if end is None:
        return start, None
    end = checked_number("end", end)
    if not 0.0 < end - start <= MAX_SECONDS:
        raise ValueError(
            f"end={end:g} must lie after start={start:g}, by at most {MAX_SECONDS:g} s"
        )
    return start, end


def read_selection(reader, path: str, first: float, last: Optional[float]):
    """Read a part of a file as the model hears it.

    Args:
        reader: The ``AudioReader`` of the model.
        path: Audio file.
        first: First second.
        last: Last second; None takes `DEFAULT_SECONDS` and says so.

    Returns:
        Samples (S,) float32 at the model's rate.

    Raises:
        BadAudio: The file cannot be used.
        ValueError: It ends before `first`.
    """
    import numpy as np

    audio = reader.open(path, None, Path(path).name)
    chosen = first + DEFAULT_SECONDS if last is None else last
    begin, end = (round(t * reader.sample_rate) for t in (first, chosen))
    heard, position = [], 0
    for block in audio.blocks():
        heard.append(block[max(0, begin - position) : max(0, end - position)])
        position += len(block)
        if position > end:
            break
    if last is None and position > end:
        whole = f" of {audio.seconds:.1f} s" if np.isfinite(audio.seconds) else ""
        logger.warning(f"{first:g} to {chosen:g} s{whole} are shown (--start, --end)")
    if position <= begin:
        seconds = position / reader.sample_rate
        raise ValueError(f"--start {first:g}: {path} ends at {seconds:.2f} s")
    return np.concatenate(heard)
