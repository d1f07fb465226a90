"""From recordings to transcripts, with a trained model in memory.

``recognizer`` has the calls, and ``speech2text`` makes them with torch. ``long_audio``
divides a recording into windows and joins them again, ``recordings`` and ``batching``
bring them to what scores their frames, and ``transcription`` makes words of the scores.
"""

import importlib

__all__ = ["BlankSkipSpeech2Text"]


def __getattr__(name: str):
    # Only when asked for: the rest of this room does without torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module("espnet_blankskip.inference.speech2text")
    return getattr(module, name)
