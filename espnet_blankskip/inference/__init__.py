"""From recordings to transcripts, with a trained model in memory.

``speech2text`` holds the recognizer. ``long_audio`` divides a recording into windows
and joins them again, ``batching`` and ``window_scoring`` run the model over them, and
``transcription`` makes words of the scores.
"""

import importlib

__all__ = ["BlankSkipSpeech2Text"]


def __getattr__(name: str):
    # Only when asked for: the rest of this room does without torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module("espnet_blankskip.inference.speech2text")
    return getattr(module, name)
