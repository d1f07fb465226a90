"""Decoding in other processes, one utterance at a time each."""

import contextlib
import logging
import multiprocessing
import signal
import warnings
from multiprocessing.connection import Connection, wait
from typing import Any, Dict, Iterator, List, Optional, Sequence

from espnet_blankskip.children import end_with_parent, sensible_processes
from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.terminal import one_line, typed_line
from espnet_blankskip.transcripts.decoder import Decoder, say_warnings_to
from espnet_blankskip.transcripts.records import Outcome

logger = logging.getLogger(__name__)

_READY, _REFUSED, _WARNING, _DONE = "ready", "refused", "warning", "done"


def decode_in_processes(
    utterances: Sequence[Utterance], model: str, options: Dict[str, Any], jobs: int
) -> Iterator[Outcome]:
    """Decode with several processes of one thread each.

    A process that dies costs the utterance that it was at, and is replaced; one that
    dies before its first utterance is not.

    Args:
        utterances: What to decode.
        model: See `Decoder`.
        options: See `Decoder`.
        jobs: Number of processes.

    Yields:
        What became of each utterance, in the order in which they are done.

    Raises:
        ValueError: The model cannot be loaded by any of them, or an option is wrong.
    """
    waiting = list(reversed(utterances))
    workers: List[_Worker] = []
    said: set = set()
    try:
        for _ in range(sensible_processes(jobs, len(waiting))):
            workers.append(_Worker(model, options))
        while workers:
            ready = wait([worker.pipe for worker in workers])
            for worker in [w for w in workers if w.pipe in ready]:
                try:
                    kind, content = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    if worker.utterance is None:
                        said_why = (
                            "a decoding process died while it loaded the model "
                            f"({worker.why_ended()})"
                        )
                        if not workers:
                            raise ValueError(f"{said_why}: try fewer --jobs") from None
                        logger.warning(f"{said_why}; {len(workers)} go on")
                        continue
                    yield Outcome(
                        worker.utterance,
                        {},
                        f"the process that decoded it died ({worker.why_ended()})",
                    )
                    if waiting:
                        workers.append(_Worker(model, options))
                    continue
                if kind == _REFUSED:
                    raise ValueError(content)
                if kind == _WARNING:
                    # Each process says it once; the user reads it once.
                    if content.split(" (first: ")[0] not in said:
                        said.add(content.split(" (first: ")[0])
                        logger.warning(content)
                    continue
                if kind == _DONE:
                    yield content
                if waiting:
                    worker.give(waiting.pop())
                else:
                    worker.stop()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process with a model, and the pipe to it."""

    def __init__(self, model: str, options: Dict[str, Any]):
        # A forked child could inherit locks of torch's threads.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.utterance: Optional[Utterance] = None
        self._process = context.Process(
            target=_serve, args=(theirs, model, options), daemon=True
        )
        # Ctrl-C is the parent's alone, also while a process is still being set up.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # so that the end of the process is the end of the pipe

    def give(self, utterance: Utterance) -> None:
        """Hand it an utterance."""
        self.utterance = utterance
        with contextlib.suppress(OSError):  # it died: the end of its pipe says so
            self.pipe.send(utterance)

    def why_ended(self) -> str:
        """Describe how the process ended."""
        self._process.join()
        code = self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return name + (", out of memory?" if code == -signal.SIGKILL else "")
        return f"exit status {code}"

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _serve(pipe: Connection, model: str, options: Dict[str, Any]) -> None:
    """Decode whatever comes through the pipe until it ends."""
    end_with_parent()
    warnings.filterwarnings("ignore", category=FutureWarning)  # inside ESPnet
    with contextlib.suppress(EOFError, OSError):  # nobody listens any more
        say_warnings_to(lambda message: pipe.send((_WARNING, message)))
        decoder = _load(pipe, model, options)
        if decoder is not None:
            pipe.send((_READY, None))
            while True:
                pipe.send((_DONE, decoder(pipe.recv())))


def _load(pipe: Connection, model: str, options: Dict[str, Any]) -> Optional[Decoder]:
    """Load the model, or say in one line why it cannot be."""
    try:
        return Decoder(model, options, threads=1)
    except (ValueError, OSError) as error:
        pipe.send((_REFUSED, one_line(error)))
    except Exception as error:  # of any library below, and no less the user's to read
        pipe.send((_REFUSED, typed_line(error)))
    return None
