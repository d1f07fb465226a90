"""What a user can ask of every corpus."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional


@dataclass(frozen=True)
class CorpusOptions:
    """Options of a corpus preparation.

    Args:
        seed: Same seed and options, same bytes.
        train_hours: Length of the training set in hours; None is the corpus's usual.
        exclude_speaker: Speaker to leave out of every set but ``test_SPEAKER``.
        downloads: Folder for what is fetched or unpacked.
        nj: Number of processes.

    Raises:
        ValueError: If a value is out of its range; the message names the option.
    """

    seed: int = 0
    train_hours: Optional[float] = None
    exclude_speaker: Optional[str] = None
    downloads: Path = Path("downloads")
    nj: int = 1

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"--seed {self.seed} must be at least 0")
        if self.train_hours is not None and not 0 < self.train_hours <= 1000:
            raise ValueError(
                f"--train-hours {self.train_hours:g} must be above 0 and at most 1000"
            )
        if self.nj < 1:
            raise ValueError(f"--nj {self.nj} must be at least 1")

    def record(self) -> Dict[str, object]:
        """The options that decide what is in the data, for ``corpus.json``."""
        return {
            "seed": self.seed,
            "train_hours": self.train_hours,
            "exclude_speaker": self.exclude_speaker,
        }
