"""One writer at a time for every output, experiment and data folder.

A lock is flock's, on a hidden file (`hidden_file`). The system releases it when its
holder, and all that the holder has started, have ended, however they ended.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import time
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

#: How long the programs of a holder that was killed may take to end.
ENDING_SECONDS = 10.0
_POLL_SECONDS = 0.05
_MAX_NAME_BYTES = 240
#: File systems without locks; there is nothing to be done about it.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)

_held: List[int] = []


class InUse(OSError):
    """Somebody else is writing there; the message is one line and names the holder."""


def held() -> Tuple[int, ...]:
    """File descriptors of the locks that this process has."""
    return tuple(_held)


def hidden_file(output: Path, ending: str) -> Path:
    """Where a hidden file about an output lies, whatever the output is called.

    Beside it; in a folder that lies where we may not write, such as a mounted one,
    inside. Its name is never too long.
    """
    # two names of one file, one of them a link, are one output
    path = Path(os.path.realpath(output))
    name = path.name
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    beside = path.parent
    if path.is_dir() and (path == beside or not os.access(beside, os.W_OK)):
        beside = path
    return beside / f".{name}.{ending}"


@contextlib.contextmanager
def locked(output: Path, who: str, part: str = "") -> Iterator[None]:
    """Keep others from writing to an output.

    Args:
        output: File or folder; it need not be there yet. What is neither, such as a
            pipe or /dev/null, is not locked.
        who: What is said of us to others who want it, for example ``run.sh stage 11``.
        part: Lock only this part of it; others may have the other parts.

    Raises:
        InUse: Somebody has it already.
        OSError: There is no place that can be written to.
    """
    # by its own name: what /dev/stdout is a link to has none
    if output.exists() and not (output.is_file() or output.is_dir()):
        yield
        return
    lock = hidden_file(output, f"{part}.lock" if part else "lock")
    folders = [folder for folder in lock.parents if not folder.exists()]
    descriptor = _acquire(lock, output)
    _held.append(descriptor)
    try:
        _write(
            descriptor,
            f"{who}\t{os.getpid()}\t{socket.gethostname()}\t{time.time():.0f}",
        )
        yield
    finally:
        _held.remove(descriptor)
        with contextlib.suppress(OSError):
            lock.unlink()  # while it is ours, so that nobody else's goes
            for folder in folders:  # made for the lock, and nothing else came
                folder.rmdir()
        os.close(descriptor)


def _acquire(lock: Path, output: Path) -> int:
    """Return a descriptor of the lock file, which is locked."""
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(lock, descriptor):
                return descriptor
        except BlockingIOError:
            holder = _read(descriptor)
            if time.monotonic() > deadline or (holder and not _has_ended(holder)):
                os.close(descriptor)
                raise InUse(_in_use(output, holder)) from None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(_POLL_SECONDS)


def _is(lock: Path, descriptor: int) -> bool:
    """Whether the file is still there that was opened: its holder removes it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    return False


def _write(descriptor: int, holder: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: a lock, if nobody's by name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{holder}\n".encode("utf-8", "replace"), 0)


def _read(descriptor: int) -> Optional[List[str]]:
    """Who has it, its process, machine and time; None while that is not written."""
    line = os.pread(descriptor, 4096, 0).decode("utf-8", "replace")
    fields = line.rstrip("\n").split("\t")
    return fields if line.endswith("\n") and len(fields) == 4 else None


def _has_ended(holder: List[str]) -> bool:
    """Whether a holder of this machine is gone, and what it started about to go."""
    _, process, machine, _ = holder
    if machine != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's
    return False


def _in_use(output: Path, holder: Optional[List[str]]) -> str:
    if holder is None:
        return f"{output} is in use by another process"
    who, process, machine, begun = holder
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(begun)))
    return (
        f"{output} is in use by {who} (process {process} on {machine}, since {since}): "
        "wait for it, or end it"
    )
