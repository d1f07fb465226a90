"""The corpora that can be prepared by name."""

from dataclasses import dataclass
from importlib import import_module
from typing import Dict, Optional, Tuple

from espnet_blankskip.corpora.corpus_options import LHOTSE_OPTIONS, CorpusOptions
from espnet_blankskip.corpora.staging import StagedSets

#: What goes before lhotse's name of a corpus.
LHOTSE_PREFIX = "lhotse:"


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be prepared.

    Args:
        name: Its name on the command line.
        module: Module of this package with ``make(sets, options, *variant)``.
        summary: One line for ``--help``.
        sampling_rate: Sampling rate of the data folders in Hz, where they have one.
        speech_kind: ``human`` or ``synthetic``; what ``make`` may still change.
        variable: Environment variable that names its source, if it needs one.
        takes: Options of :class:`CorpusOptions` that mean something here.
        default_hours: Length of its training set where the user gives none; None if
            it cannot be chosen.
        variant: Further arguments of ``make``, for modules of several corpora.
        version: Raised when the same options begin to make other sets.
    """

    name: str
    module: str
    summary: str
    sampling_rate: int = 16000
    speech_kind: str = "human"
    variable: Optional[str] = None
    takes: Tuple[str, ...] = ()
    default_hours: Optional[float] = None
    variant: Tuple[str, ...] = ()
    version: int = 1

    def check(self, options: CorpusOptions) -> None:
        """See that the options mean something here.

        Raises:
            ValueError: If one does not; the message names it.
        """
        for option in options.chosen():
            if option not in self.takes:
                raise ValueError(f"{option} does not apply to the corpus {self.name}")

    def make(self, sets: StagedSets, options: CorpusOptions) -> None:
        """Fill the sets."""
        module = import_module(f"{__package__}.{self.module}")
        module.make(sets, options, *self.variant)


CORPORA: Dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="fsdd",
            module="fsdd",
            sampling_rate=8000,
            summary="connected digits from human recordings, 8 kHz",
            variable="FSDD",
            takes=("train_hours", "exclude_speaker"),
            default_hours=1.2,
            version=2,  # test_long
        ),
        Corpus(
            name="mini_an4",
            module="mini_an4",
            summary="ESPnet's eight test utterances of CMU AN4, 16 kHz",
            variable="MINI_AN4",
        ),
        Corpus(
            name="an4",
            module="an4",
            summary="CMU AN4: spelled and read words, 50 minutes, 16 kHz",
            variable="AN4",
        ),
        Corpus(
            name="mini_librispeech",
            module="mini_librispeech",
            summary="mini LibriSpeech: 5 hours, tested on test-clean, 16 kHz",
            variable="MINI_LIBRISPEECH",
        ),
        Corpus(
            name="librispeech_100",
            module="librispeech",
            summary="LibriSpeech's 100 clean hours with its dev and test sets, 16 kHz",
            variable="LIBRISPEECH",
            variant=("train_clean_100", "train-clean-100"),
        ),
        Corpus(
            name="librispeech",
            module="librispeech",
            summary="LibriSpeech, 960 hours of read English, 16 kHz",
            variable="LIBRISPEECH",
            variant=(
                "train_960",
                "train-clean-100",
                "train-clean-360",
                "train-other-500",
            ),
        ),
        Corpus(
            name="aishell",
            module="aishell",
            summary="AISHELL-1, 170 hours of read Mandarin, 16 kHz",
            variable="AISHELL",
        ),
        Corpus(
            name="synthetic",
            module="synthetic",
            speech_kind="synthetic",
            summary="sentences of numbers, names and dates by espeak-ng, 16 kHz",
            takes=("train_hours",),
            default_hours=5.0,
        ),
    )
}


def find_corpus(name: str) -> Corpus:
    """The corpus of that name.

    Args:
        name: A key of :data:`CORPORA`, or ``lhotse:`` and lhotse's name of a corpus.

    Raises:
        ValueError: If there is none; the message names those there are.
    """
    if name in CORPORA:
        return CORPORA[name]
    if not name.startswith(LHOTSE_PREFIX):
        raise ValueError(
            f"--corpus {name} must be one of {', '.join(CORPORA)} or lhotse:NAME"
        )
    corpus = name[len(LHOTSE_PREFIX) :]
    import_module(f"{__package__}.lhotse_recipes").preparation(corpus)
    return Corpus(
        name=name,
        module="any_lhotse",
        summary=f"lhotse's {corpus}",
        variable=corpus.upper(),
        takes=LHOTSE_OPTIONS,
        variant=(corpus,),
    )
