"""Command line of the data preparation."""

import argparse
import sys
from pathlib import Path
from typing import List, Optional, Tuple

from espnet_blankskip.corpora import CORPORA, prepare_corpus
from espnet_blankskip.corpora.corpus_options import LHOTSE_OPTIONS, CorpusOptions
from espnet_blankskip.locks import locked
from espnet_blankskip.terminal import one_line


def get_parser() -> argparse.ArgumentParser:
    """Options; ESPnet's spelling with underscores works as well."""
    rows = [(corpus.name, corpus.summary) for corpus in CORPORA.values()]
    rows.append(("lhotse:NAME", "any corpus that lhotse can prepare"))
    corpora = "\n".join(f"  {name:15s} {summary}" for name, summary in rows)
    parser = argparse.ArgumentParser(
        prog="python -m espnet_blankskip.corpora",
        description=f"Prepare the data folders of a corpus:\n{corpora}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("corpus", metavar="CORPUS", help="one of the above")
    parser.add_argument(
        "--output", type=Path, default=Path("data"), help="folder of the sets"
    )
    parser.add_argument(
        "--downloads",
        type=Path,
        default=Path("downloads"),
        help="folder for fetched and unpacked archives",
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    parser.add_argument(
        "--train-hours",
        "--train_hours",
        type=float,
        help="length of the training set (fsdd: 1.2, synthetic: 5)",
    )
    parser.add_argument(
        "--exclude-speaker",
        "--exclude_speaker",
        metavar="NAME",
        help="fsdd: leave NAME out of all sets and make test_NAME of it",
    )
    parser.add_argument("--nj", type=int, default=1, help="processes (synthetic)")
    parser.add_argument(
        "--lhotse_options",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="arguments of lhotse's prepare_NAME, for lhotse:NAME",
    )
    for option, made in zip(LHOTSE_OPTIONS[1:], ("training", "dev", "test")):
        parser.add_argument(
            f"--{option}",
            nargs="+",
            default=[],
            metavar="SPLIT",
            help=f"lhotse's splits that make the {made} set; by name if not given",
        )
    parser.add_argument(
        "--overwrite", action="store_true", help="make finished sets again"
    )
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Prepare a corpus; errors are one line and exit code 1."""
    args = get_parser().parse_args(arguments)
    try:
        options = CorpusOptions(
            seed=args.seed,
            train_hours=args.train_hours,
            exclude_speaker=args.exclude_speaker or None,
            downloads=args.downloads,
            nj=args.nj,
            **{name: split_words(getattr(args, name)) for name in LHOTSE_OPTIONS},
        )
        with locked(args.output, "the preparation of a corpus", "corpus"):
            lines = prepare_corpus(args.corpus, args.output, options, args.overwrite)
    except (ValueError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; no set was changed", file=sys.stderr)
        return 130
    for line in lines:
        print(line)
    return 0


def split_words(values: List[str]) -> Tuple[str, ...]:
    """Words of an option, given as several values or, quoted, as one."""
    return tuple(word for value in values for word in value.split())
