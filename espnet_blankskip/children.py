"""Programs that end when we do, however we end, with all that they have started."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from multiprocessing import connection, parent_process
from typing import List, Optional, Sequence

from espnet_blankskip import locks

#: How long a program may take to end when it is asked to.
GRACE_SECONDS = 10.0
# Its standard input is a pipe that ends when we do. It leads the group, whose number
# therefore nobody else gets before it is gone.
_WATCH = "trap '' TERM INT HUP; read -r _; kill -KILL 0"


def sensible_processes(asked: int, items: int) -> int:
    """How many processes to start where a user asks for many, each of one thread.

    Args:
        asked: What the user asks for.
        items: Pieces of work.

    Returns:
        ``asked``, but no more than pieces of work, nor than twice the cores of this
        machine (four where it has few): more would only wait, each with a model.
    """
    return max(1, min(asked, items, max(4, 2 * available_cores())))


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ChildGroup:
    """Programs in a process group of their own, of which a killed parent leaves none.

    A terminal's Ctrl-C reaches the parent alone, which ends them on its way out; a
    parent that is killed (SIGKILL) cannot, so a small shell beside them does it. Use
    it as a context manager: leaving it ends what still runs.
    """

    def __init__(self):
        self._children: List[subprocess.Popen] = []
        self._watch: Optional[subprocess.Popen] = None

    def __enter__(self) -> "ChildGroup":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.stop()

    def start(self, command: Sequence, **options) -> subprocess.Popen:
        """Begin a program; its standard input is empty.

        Args:
            command: Program and arguments.
            options: Those of ``subprocess.Popen``.

        Raises:
            OSError: It cannot be started.
        """
        if self._watch is None:
            self._watch = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=os.setpgrp,
            )
        group = self._watch.pid
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            # Whatever is locked stays so until the last of them has ended.
            pass_fds=locks.held(),
            preexec_fn=lambda: os.setpgid(0, group),
            **options,
        )
        self._children.append(child)
        return child

    def stop(self) -> None:
        """End what still runs: asked first, made to after `GRACE_SECONDS`."""
        if self._watch is None:
            return
        running = [child for child in self._children if child.poll() is None]
        try:
            if running:
                self._signal(signal.SIGTERM)
                deadline = time.monotonic() + GRACE_SECONDS
                with contextlib.suppress(subprocess.TimeoutExpired):
                    for child in running:
                        child.wait(max(0.0, deadline - time.monotonic()))
        finally:  # also when we are interrupted once more
            self._signal(signal.SIGKILL)
            for process in (*running, self._watch):
                process.wait()
            self._watch.stdin.close()
            self._children, self._watch = [], None

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._watch.pid, number)


def run_program(command: Sequence, **options) -> subprocess.CompletedProcess:
    """Run a program to its end, as ``subprocess.run`` does; it ends when we do.

    Args:
        command: Program and arguments.
        options: Those of ``subprocess.Popen``.

    Raises:
        OSError: It cannot be started.
    """
    with ChildGroup() as group:
        child = group.start(command, **options)
        output, errors = child.communicate()
        return subprocess.CompletedProcess(command, child.returncode, output, errors)


def end_with_parent() -> None:
    """Let this process, which ``multiprocessing`` has started, not outlive its parent.

    It would otherwise find out when it next asks for work, or never.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
