"""Exported models at work: numpy, an engine and the tokenizer, no torch and no ESPnet.

``manifest`` says what lies in an exported folder, ``engines`` run its graph, and
``speech2text`` makes transcripts of recordings.
"""

from espnet_blankskip.runtime.speech2text import ExportedSpeech2Text

__all__ = ["ExportedSpeech2Text"]
