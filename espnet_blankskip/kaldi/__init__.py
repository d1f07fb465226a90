"""Kaldi-style data: the lists of a data folder, and the utterances they describe."""
