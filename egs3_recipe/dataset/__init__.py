"""This recipe's data sets: Kaldi-style folders, of a known corpus or your own."""

from espnet_blankskip.espnet3 import CorpusBuilder as DatasetBuilder
from espnet_blankskip.espnet3 import KaldiDataset as Dataset

__all__ = ["Dataset", "DatasetBuilder"]
