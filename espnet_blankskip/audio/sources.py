"""Where audio is read from: paths, pipes and open files."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO, Union

from espnet_blankskip.audio.bad_audio import BadAudio, damage_named

Source = Union[str, os.PathLike, BinaryIO]


def is_file(source: object) -> bool:
    """Tell whether something is a path or an open file, rather than samples."""
    return isinstance(source, (str, os.PathLike)) or hasattr(source, "read")


def is_pipe(path: Union[str, os.PathLike]) -> bool:
    """Tell whether a path leads to a pipe, which only this process can read, once."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def lasting(source: Source, utt_id: str) -> Union[Path, BinaryIO]:
    """Return what can be opened and read any number of times.

    Args:
        source: As in `open_sound`. What comes through a pipe is kept in a temporary
            file, which vanishes with the object returned.
        utt_id: Utterance id for messages.

    Returns:
        The path of a file, or an open binary file that can seek.

    Raises:
        BadAudio: There is no such file, or it cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _seekable(source, utt_id)
    if str(source).rstrip().endswith("|"):
        raise BadAudio(
            utt_id, f"'{source}' is a command; give a file (asr.sh stage 3 makes them)"
        )
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise BadAudio(utt_id, f"no such audio file: {path}") from None
    except (OSError, ValueError) as error:
        raise _cannot_open(utt_id, path, error) from None
    if is_pipe(path):
        with opened(path, utt_id) as pipe:
            return _kept(pipe, utt_id)
    if stat.S_ISDIR(mode):
        raise BadAudio(utt_id, f"no such audio file: {path} (a folder)")
    if not stat.S_ISREG(mode):
        raise BadAudio(utt_id, f"is a device, not an audio file: {path}")
    return path


def located(path: str, wav_scp: str) -> str:
    """Return a path of a list as it is or, if nothing is there, beside the list."""
    beside = os.path.join(os.path.dirname(wav_scp), path)
    here = os.path.exists(path) or not os.path.isfile(beside)
    return path if here else beside


def opened(path: Path, utt_id: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        BadAudio: It cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise _cannot_open(utt_id, path, error) from None


def _cannot_open(utt_id: str, path: Path, error: Exception) -> BadAudio:
    words = getattr(error, "strerror", None) or error
    return BadAudio(utt_id, f"cannot be opened: {words}: {path}")


def _seekable(file: BinaryIO, utt_id: str) -> BinaryIO:
    with damage_named(utt_id):
        if not isinstance(file.read(0), bytes):
            raise BadAudio(utt_id, "is a file opened as text: open it with mode 'rb'")
        can_seek = getattr(file, "seekable", lambda: hasattr(file, "seek"))()
        return file if can_seek else _kept(file, utt_id)


def _kept(pipe: BinaryIO, utt_id: str) -> BinaryIO:
    file = tempfile.TemporaryFile(prefix="blankskip-")
    with damage_named(utt_id):
        shutil.copyfileobj(pipe, file)
    return file
