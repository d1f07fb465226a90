"""One run of ``blankskip transcribe``: what is written, counted and shown."""

import contextlib
import sys
import time
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Sequence

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.terminal import first_of
from espnet_blankskip.transcripts.records import Outcome
from espnet_blankskip.transcripts.writers import NoFileName, Writer

#: A bar on a terminal comes after the first of these, lines in a log after the second.
BAR_SECONDS, LOG_SECONDS = 2.0, 30.0


class CannotWrite(Exception):
    """The output takes no more, which is no file's fault and no option's."""


class Run:
    """Writes outcomes as they come in.

    Args:
        writer: Takes the results.
        total: Number of utterances to come.
        say: Takes a line for the user.

    Attributes:
        done: Number of utterances transcribed.
        failed: Reason by id, of the others.
        warnings: How many of the done have each warning about their audio.
    """

    def __init__(self, writer: Writer, total: int, say: Callable[[str], None]):
        self._writer, self._say = writer, say
        self.total, self.done = total, 0
        self.failed: Dict[str, str] = {}
        self.warnings: Counter = Counter()
        self._seconds, self._kept = 0.0, 0.0
        self._begin = self._shown = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from espnet_blankskip.terminal import ProgressBar

            self._bar = ProgressBar(
                "transcribe", total, unit="file", delay=BAR_SECONDS, leave=False
            )

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Write results, and name failures.

        Raises:
            CannotWrite: The output cannot be written.
        """
        self._begin = time.monotonic()
        for outcome in outcomes:
            reason = outcome.reason or self._write(outcome.record)
            if reason:
                self.failed[outcome.utterance.utt_id] = reason
                self._say(f"'{outcome.utterance.utt_id}': {reason}")
            else:
                self._count(outcome.record)
            self._show()

    def finish(self, utterances: Sequence[Utterance]) -> None:
        """Finish the output.

        Args:
            utterances: All that were asked for, also if done earlier.

        Raises:
            CannotWrite: The output cannot be written.
        """
        with _faults_named():
            self._writer.close(utterances, self.failed)

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.close()

    def summary(self) -> str:
        """Return one line about the whole run."""
        line = f"transcribed {self.done} of {self.total}"
        if self.done:
            line += f" ({self._seconds / 60:.1f} min of audio, {self._speed()})"
        if self.failed:
            line += f"; failed {len(self.failed)}: {first_of(self.failed)}"
        for warning, count in self.warnings.most_common():
            line += f"; in {count}: {warning}"
        return line

    def _write(self, record: Dict[str, Any]) -> str:
        """Write a result; return why it cannot be, if that is its own fault."""
        try:
            with _faults_named():
                self._writer.write(record)
        except NoFileName as error:
            return str(error)
        return ""

    def _count(self, record: Dict[str, Any]) -> None:
        self.done += 1
        self.warnings.update(record.get("warnings", ()))
        self._seconds += record["seconds"]
        self._kept += record["seconds"] * record["kept"]

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._speed(), refresh=False)
            self._bar.update()
        elif time.monotonic() - self._shown >= LOG_SECONDS:
            self._shown = time.monotonic()
            seen = self.done + len(self.failed)
            self._say(f"{seen} of {self.total} ({self._speed()})")

    def _speed(self) -> str:
        if self._seconds == 0:
            return "RTF unknown"
        factor = (time.monotonic() - self._begin) / self._seconds
        return f"RTF {factor:.4f}, kept {100 * self._kept / self._seconds:.0f} %"


@contextlib.contextmanager
def _faults_named():
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has seen enough, which is no fault
    except OSError as error:
        raise CannotWrite(str(error)) from None
