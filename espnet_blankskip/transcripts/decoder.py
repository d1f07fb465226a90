"""Decoding one utterance after the other, none of which stops the next."""

import logging
from typing import Any, Callable, Dict, Optional

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.terminal import typed_line
from espnet_blankskip.transcripts.recognizers import open_recognizer
from espnet_blankskip.transcripts.records import Outcome, make_record


class Decoder:
    """Turns utterances into outcomes.

    Args:
        model, options, threads: As `open_recognizer` takes them.

    Raises:
        ValueError, OSError: The model cannot be loaded, or an option is wrong.
    """

    def __init__(
        self, model: str, options: Dict[str, Any], threads: Optional[int] = None
    ):
        self.speech2text = open_recognizer(model, threads=threads, **options)

    def __call__(self, utterance: Utterance) -> Outcome:
        """Decode one utterance; whatever goes wrong with it is its own failure."""
        try:
            result = self.speech2text(utterance.path, utt_id=utterance.utt_id)
            return Outcome(utterance, make_record(utterance, result))
        except Exception as error:  # the list goes on, whatever a file does to torch
            reason = getattr(error, "reason", None) or typed_line(error)
            return Outcome(utterance, {}, reason)


def say_warnings_to(say: Callable[[str], None]) -> None:
    """Hand over the plugin's warnings, and drop those of ESPnet about itself.

    Args:
        say: Takes one line.
    """

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    handler = Handler()
    handler.addFilter(logging.Filter("espnet_blankskip"))  # the loggers below it
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
