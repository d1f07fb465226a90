"""The formats of ``blankskip transcribe``, and how each one is continued."""

import contextlib
import errno
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Optional, Sequence, Set, TextIO

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.transcripts.hypothesis_folders import write_hypothesis_folders
from espnet_blankskip.transcripts.line_file import LineFile
from espnet_blankskip.transcripts.records import hypotheses
from espnet_blankskip.transcripts.subtitles import srt, vtt

FORMATS = ("text", "jsonl", "srt", "vtt", "espnet")
_SUBTITLES = {"srt": srt, "vtt": vtt}

#: Faults of a file's name, not of the disk.
_NAME_FAULTS = {
    getattr(errno, name)
    for name in "ENAMETOOLONG ENOTDIR EEXIST EISDIR EINVAL EILSEQ".split()
}

Record = Dict[str, Any]


class NoFileName(ValueError):
    """An utterance's id cannot name its file; the message says why, in one line."""


class Writer:
    """Takes results one by one and writes them in a format.

    Attributes:
        done: Ids of utterances that were written earlier and are not needed again.
    """

    def __init__(self):
        self.done: Set[str] = set()

    def write(self, record: Record) -> None:
        """Write one result (see `records.make_record`).

        Raises:
            OSError: It cannot be written; nothing is left half-written.
            NoFileName: Nor can it be, whatever room there is.
        """
        raise TypeError(f"{type(self).__name__} writes nothing")

    def close(self, utterances: Sequence[Utterance], failed: Dict[str, str]) -> None:
        """Finish the output.

        Args:
            utterances: All that were asked for.
            failed: Reason by id, of those that could not be transcribed.

        Raises:
            OSError: It cannot be written.
        """


def open_writer(
    name: str,
    output: Optional[str],
    utterances: Sequence[Utterance],
    restart: bool = False,
) -> Writer:
    """Open the output of a format.

    Args:
        name: One of `FORMATS`.
        output: File, or folder for several files; None is standard output. A pipe or
            device takes what standard output would.
        utterances: All that were asked for.
        restart: Write everything anew, instead of only what is missing.

    Raises:
        ValueError: The format needs another output.
        OSError: It cannot be written.
    """
    if name == "espnet":
        if output is None:
            raise ValueError("--format espnet needs --output, a folder")
        return EspnetWriter(Path(output), restart)
    if name in _SUBTITLES:
        return _subtitle_writer(name, output, utterances, restart)
    write_line = _text_line if name == "text" else _json_line
    if output is None or is_stream(output):
        return StreamWriter(write_line, _stream(output))
    if Path(output).is_dir():
        raise ValueError(
            f"--output {output} is a folder; --format {name} writes a file"
        )
    read_id = _text_id if name == "text" else _json_id
    return LineWriter(Path(output), write_line, read_id, restart)


def is_stream(output: str) -> bool:
    """Whether an output is a pipe or device, such as /dev/null: nothing is in it."""
    path = Path(output)
    return path.exists() and not (path.is_file() or path.is_dir())


def _stream(output: Optional[str]) -> TextIO:
    return sys.stdout if output is None else open(output, "w", encoding="utf-8")


class StreamWriter(Writer):
    """Prints results as they come."""

    def __init__(self, write_line, stream: TextIO):
        super().__init__()
        self._write_line, self._stream = write_line, stream

    def write(self, record: Record) -> None:
        self._stream.write(self._write_line(record) + "\n")
        try:
            self._stream.flush()
        except OSError:
            # What is left in the buffer goes nowhere, or the exit would complain too.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise


class LineWriter(Writer):
    """Appends a line per result to a file.

    Raises:
        ValueError: The file holds something else.
    """

    def __init__(self, path: Path, write_line, read_id, restart: bool):
        super().__init__()
        self._write_line = write_line
        self._lines = LineFile(path, restart)
        try:
            self.done.update(read_id(line) for line in self._lines)
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"--output {path} holds other lines than this format's: name a new "
                "file, or --overwrite it"
            ) from None

    def write(self, record: Record) -> None:
        self._lines.append(self._write_line(record))

    def close(self, utterances, failed) -> None:
        self._lines.close()


class SubtitleWriter(Writer):
    """Writes a file of subtitles per utterance.

    Args:
        paths: File by id.
        make: Words to the content of a file.
        restart: Write those anew that are there.
    """

    def __init__(self, paths: Dict[str, Path], make, restart: bool):
        super().__init__()
        self._paths, self._make = paths, make
        if not restart:
            self.done = {
                utt_id for utt_id, path in paths.items() if os.path.isfile(path)
            }

    def write(self, record: Record) -> None:
        words = [SimpleNamespace(**word) for word in record["words"]]
        path = self._paths[record["id"]]
        try:
            write_whole(path, self._make(words))
        except OSError as error:
            if error.errno not in _NAME_FAULTS:
                raise
            raise NoFileName(f"no file of that name: {error.strerror}") from None


class EspnetWriter(Writer):
    """Writes ESPnet's hypothesis folders, ``1best_recog`` and so on.

    Results are collected in ``results.jsonl``, from which the folders are written at
    the end. An utterance that failed has empty lines in them, as its words count as
    deleted, and its reason in ``failed``.
    """

    def __init__(self, folder: Path, restart: bool):
        super().__init__()
        self._folder = folder
        self._lines = LineWriter(
            folder / "results.jsonl", _json_line, _json_id, restart
        )
        self.done = self._lines.done

    def write(self, record: Record) -> None:
        self._lines.write(record)

    def close(self, utterances, failed) -> None:
        self._lines.close(utterances, failed)
        records = {}
        with open(self._folder / "results.jsonl", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                records[record["id"]] = hypotheses(record)
        utt_ids = [utterance.utt_id for utterance in utterances]
        asked = {u: records[u] for u in utt_ids if u in records}
        nbest = max([1, *map(len, asked.values())])
        write_hypothesis_folders(
            self._folder, utt_ids, asked, {"failed": failed}, nbest
        )


def _subtitle_writer(
    name: str, output: Optional[str], utterances: Sequence[Utterance], restart: bool
) -> Writer:
    make = _SUBTITLES[name]
    if output is None or is_stream(output):
        if len(utterances) > 1:
            raise ValueError(f"--format {name} of several files needs --output DIR")
        return StreamWriter(
            lambda r: make([SimpleNamespace(**w) for w in r["words"]]).rstrip("\n"),
            _stream(output),
        )
    target = Path(output)
    if target.suffix == f".{name}" and not target.is_dir():
        if len(utterances) > 1:
            raise ValueError(f"--output {output} is one file: give a folder")
        paths = {u.utt_id: target for u in utterances}
    else:
        target.mkdir(parents=True, exist_ok=True)
        paths = {u.utt_id: _inside(target, u.utt_id, name) for u in utterances}
    return SubtitleWriter(paths, make, restart)


def _inside(folder: Path, utt_id: str, suffix: str) -> Path:
    """Return the file of an utterance, whose id comes from somebody's list.

    Raises:
        ValueError: The id leads out of the folder.
    """
    if Path(utt_id).is_absolute() or ".." in Path(utt_id).parts:
        raise ValueError(f"utterance '{utt_id}': no name for a file in {folder}")
    return folder / f"{utt_id}.{suffix}"


def _text_line(record: Record) -> str:
    return f"{record['id']}\t{_one_line(record['text'])}"


def _text_id(line: str) -> str:
    utt_id, _ = line.split("\t", 1)
    return utt_id


def _json_line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def _json_id(line: str) -> str:
    return json.loads(line)["id"]


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))
