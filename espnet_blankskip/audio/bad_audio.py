"""The one error that a recording can cause."""

import contextlib
from typing import Iterator


class BadAudio(ValueError):
    """One utterance cannot be used.

    Args:
        utt_id: The utterance.
        reason: What is wrong with it; it becomes one line of UTF-8, whatever the
            name of a file in it holds.
    """

    def __init__(self, utt_id: str, reason: str):
        reason = " ".join(reason.splitlines())
        reason = reason.encode("utf-8", "replace").decode("utf-8")
        super().__init__(f"utterance '{utt_id}': {reason}")
        self.utt_id = utt_id
        self.reason = reason


@contextlib.contextmanager
def damage_named(utt_id: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a file into that file's `BadAudio`.

    Which errors a damaged file provokes is up to the library and its version: a length
    taken from a header alone gives MemoryError, ValueError or OverflowError.
    """
    try:
        yield
    except BadAudio:
        raise
    except Exception as error:
        # libsndfile's own words; soundfile puts the file's name before them
        words = getattr(error, "error_string", None) or str(error)
        words = words.rstrip(".") or type(error).__name__
        raise BadAudio(
            utt_id, f"cannot be read as audio (wrong type or damaged): {words}"
        ) from None
