"""Command line of the data preparation."""

import argparse
import sys
from pathlib import Path
from typing import List, Optional, Tuple

from espnet_blankskip.command_parser import CommandParser, UsageError
from espnet_blankskip.corpora import CORPORA, prepare_corpus
from espnet_blankskip.corpora.catalogue import find_corpus
from espnet_blankskip.corpora.corpus_options import LHOTSE_OPTIONS, CorpusOptions
from espnet_blankskip.exit_status import run_command


def get_parser() -> CommandParser:
    """Return the parser."""
    rows = [(corpus.name, corpus.summary) for corpus in CORPORA.values()]
    rows.append(("lhotse:NAME", "any corpus that lhotse can prepare"))
    corpora = "\n".join(f"  {name:15s} {summary}" for name, summary in rows)
    parser = CommandParser(
        prog="python -m espnet_blankskip.corpora",
        description=f"Prepare the data folders of a corpus:\n{corpora}",
        example="python -m espnet_blankskip.corpora fsdd --train-hours 0.5",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("corpus", metavar="CORPUS", help="one of the above")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="folder of the sets (data)",
    )
    parser.add_argument(
        "--downloads",
        type=Path,
        default=Path("downloads"),
        metavar="DIR",
        help="folder for fetched and unpacked archives (downloads)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same bytes (0)"
    )
    parser.add_argument(
        "--train-hours",
        type=float,
        metavar="HOURS",
        help="length of the training set (fsdd: 1.2, synthetic: 5)",
    )
    parser.add_argument(
        "--exclude-speaker",
        metavar="NAME",
        help="fsdd: leave NAME out of all sets and make test_NAME of it (nobody)",
    )
    parser.add_argument(
        "--nj", type=int, default=1, metavar="N", help="processes, of synthetic (1)"
    )
    parser.add_argument(
        "--lhotse-options",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="arguments of lhotse's prepare_NAME, for lhotse:NAME (none)",
    )
    for option, made in zip(LHOTSE_OPTIONS[1:], ("training", "dev", "test")):
        parser.add_argument(
            "--" + option.replace("_", "-"),
            nargs="+",
            default=[],
            metavar="SPLIT",
            help=f"lhotse's splits that make the {made} set (by their names)",
        )
    parser.add_argument(
        "--overwrite", action="store_true", help="make finished sets again (keep them)"
    )
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Prepare a corpus; return the exit status that `exit_status` gives it."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command(
        "corpora", lambda: _prepare(words), (UsageError,), failures=(ValueError,)
    )


def _prepare(words: List[str]) -> int:
    parser = get_parser()
    args = parser.parse_args(words)
    with parser.naming_options():
        options = CorpusOptions(
            seed=args.seed,
            train_hours=args.train_hours,
            exclude_speaker=args.exclude_speaker or None,
            downloads=args.downloads,
            nj=args.nj,
            **{name: split_words(getattr(args, name)) for name in LHOTSE_OPTIONS},
        )
        try:
            corpus = find_corpus(args.corpus)
        except ValueError as error:
            parser.error(str(error))
        corpus.check(options)
    lines = prepare_corpus(args.corpus, args.output, options, args.overwrite)
    print("\n".join(lines))
    return 0


def split_words(values: List[str]) -> Tuple[str, ...]:
    """Words of an option, given as several values or, quoted, as one."""
    return tuple(word for value in values for word in value.split())
