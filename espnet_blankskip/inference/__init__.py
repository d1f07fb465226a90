"""From recordings to transcripts, with a trained model in memory.

``speech2text`` holds the recognizer. ``long_audio`` divides a recording into windows
and joins them again, ``batching`` and ``window_scoring`` run the model over them, and
``transcription`` makes words of the scores.
"""

from espnet_blankskip.inference.speech2text import BlankSkipSpeech2Text

__all__ = ["BlankSkipSpeech2Text"]
