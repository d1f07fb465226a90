"""Where everything lies: the folder names of ESPnet's asr.sh."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

DATA = Path("data")


@dataclass(frozen=True)
class Decoding:
    """One decode configuration and the name of its results.

    Args:
        config: Decode configuration, or None for the decoder's defaults.
        tag: Folder name below the experiment.
    """

    config: Optional[Path]
    tag: str


class Layout:
    """Folders and files of one run, relative to the recipe's folder.

    Args:
        options: Parsed options of the driver.
    """

    def __init__(self, options: argparse.Namespace):
        self._options = options
        self.perturbed = bool(options.speed_perturb_factors)
        self.train_set = options.train_set + ("_sp" if self.perturbed else "")
        self.valid_set = options.valid_set
        self.test_sets: List[str] = options.test_sets
        self.feats = options.dumpdir / options.feats_type
        lang = "" if options.lang == "noinfo" else f"_{options.lang}"
        tokens = options.token_type
        if tokens == "bpe":
            tokens += str(options.nbpe)
        suffix = "_sp" if self.perturbed else ""

        lists = DATA / ("token_list" if not lang else f"{lang[1:]}_token_list")
        if options.token_type == "bpe":
            self.token_dir = lists / f"bpe_{options.bpemode}{options.nbpe}"
        else:
            self.token_dir = lists / options.token_type
        self.token_list = self.token_dir / "tokens.txt"
        self.bpe_prefix = self.token_dir / "bpe"

        tag = options.asr_tag
        if not tag:
            config = options.asr_config
            tag = f"{config.stem if config else 'train'}_{options.feats_type}"
            tag += f"{lang}_{tokens}" + as_tag(options.asr_args, "[ |=/]") + suffix
        self.asr_exp = options.asr_exp or options.expdir / f"asr_{tag}"
        stats = f"asr_stats_{options.feats_type}{lang}_{tokens}{suffix}"
        self.asr_stats = options.asr_stats_dir or options.expdir / stats
        self.model = self.asr_exp / options.inference_asr_model
        stem = re.sub(r"\.[^.]*$", "", options.inference_asr_model.replace("/", "_"))
        self.packed = self.asr_exp / f"{self.asr_exp.name}_{stem}.zip"

        self.decodings = []
        for config in [Path(c) for c in options.inference_config] or [None]:
            tag = options.inference_tag
            if not tag:
                tag = config.stem if config else "inference"
                tag += as_tag(options.inference_args, "[ |=]") + f"_asr_model_{stem}"
            self.decodings.append(Decoding(config, tag))

    @property
    def bpe_model(self) -> Optional[Path]:
        """The sentencepiece model, or None for other token types."""
        if self._options.token_type != "bpe":
            return None
        return self.bpe_prefix.with_suffix(".model")

    @property
    def sets(self) -> List[str]:
        """Names of all data sets, each once."""
        return list(dict.fromkeys([self.train_set, self.valid_set, *self.test_sets]))

    def data(self, name: str) -> Path:
        """A set as local/data.sh made it."""
        return DATA / name

    def formatted(self, name: str) -> Path:
        """A set after stage 3."""
        return self.feats / "org" / name

    def dump(self, name: str) -> Path:
        """A set after stage 4, which the later stages use."""
        return self.feats / name

    def results(self, decoding: Decoding, test_set: str) -> Path:
        """Hypotheses and scores of one test set."""
        return self.asr_exp / decoding.tag / test_set


def as_tag(words: List[str], dropped: str) -> str:
    """Extra arguments as asr.sh writes them into a folder's name."""
    return re.sub(dropped, "", " ".join(words).replace("--", "_"))
