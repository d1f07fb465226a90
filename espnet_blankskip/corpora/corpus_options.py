"""What a user can ask of every corpus."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

#: Options of the corpora that lhotse prepares.
LHOTSE_OPTIONS = ("lhotse_options", "train_splits", "valid_splits", "test_splits")


@dataclass(frozen=True)
class CorpusOptions:
    """Options of a corpus preparation.

    Args:
        seed: Same seed and options, same bytes.
        train_hours: Length of the training set in hours; None is the corpus's usual.
        exclude_speaker: Speaker to leave out of every set but ``test_SPEAKER``.
        downloads: Folder for what is fetched or unpacked.
        nj: Number of processes.
        lhotse_options: ``name=value`` words for lhotse's recipe.
        train_splits: lhotse's splits that make the training set; empty: by name.
        valid_splits: The same for the dev set.
        test_splits: The same for the test set.

    Raises:
        ValueError: If a value is out of its range; the message names the option.
    """

    seed: int = 0
    train_hours: Optional[float] = None
    exclude_speaker: Optional[str] = None
    downloads: Path = Path("downloads")
    nj: int = 1
    lhotse_options: Tuple[str, ...] = ()
    train_splits: Tuple[str, ...] = ()
    valid_splits: Tuple[str, ...] = ()
    test_splits: Tuple[str, ...] = ()

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must be at least 0")
        if self.train_hours is not None and not 0 < self.train_hours <= 1000:
            raise ValueError(
                f"train_hours={self.train_hours:g} must be above 0 and at most 1000"
            )
        if self.nj < 1:
            raise ValueError(f"nj={self.nj} must be at least 1")

    def chosen(self) -> List[str]:
        """The options given that do not apply to every corpus."""
        names = ("train_hours", "exclude_speaker", *LHOTSE_OPTIONS)
        return [name for name in names if getattr(self, name)]

    def record(self) -> Dict[str, object]:
        """The options that decide what is in the data, for ``corpus.json``."""
        lists = {name: list(getattr(self, name)) for name in LHOTSE_OPTIONS}
        return {
            "seed": self.seed,
            "train_hours": self.train_hours,
            "exclude_speaker": self.exclude_speaker,
            **{name: words for name, words in lists.items() if words},
        }
