"""Which files and options an output was made of, so that it goes on only as it began.

An output names utterances, and two files of one name may be two recordings. What each
name stands for is kept in a hidden file about the output.
"""

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Set

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.kaldi.whole_file import write_whole
from espnet_blankskip.locks import hidden_file
from espnet_blankskip.transcripts.inputs import printable
from espnet_blankskip.transcripts.writers import Record, Writer

FILES, OPTIONS = "files", "options"


def refuse_input_as_output(output: Path, inputs: Iterable[str]) -> None:
    """Never write into what is to be read.

    Args:
        output: What is to be written.
        inputs: Files to be read; names of other things are passed over.

    Raises:
        ValueError: One of them is the output, perhaps by another name.
    """
    if not output.is_file():
        return
    own = output.stat()
    for path in inputs:
        try:
            same = os.path.samestat(own, os.stat(path))
        except (OSError, ValueError):
            continue
        if same:
            raise ValueError(f"--output {output} is one of the inputs: {path}")


class Provenance:
    """What an output was made of by earlier calls.

    Args:
        output: File or folder.
    """

    def __init__(self, output: Path):
        self._output = output
        self._path = hidden_file(output, "made_of.json")
        self._known: Dict[str, Dict[str, Any]] = {}
        try:
            self._known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass  # none, or that of a call killed by a full disk

    def compare(
        self, done: Set[str], utterances: Sequence[Utterance], options: Dict[str, Any]
    ) -> List[str]:
        """Compare with what is asked for now.

        Args:
            done: Names in the output, by which it is continued; none to begin anew.
            utterances: All that is asked for.
            options: What decides how they are recognized.

        Returns:
            Lines for the user about differences that do not matter enough to stop.

        Raises:
            ValueError: A name in the output stands for another file.
        """
        before = self._known.get(FILES, {}) if done else {}
        files = {u.utt_id: printable(os.path.abspath(u.path)) for u in utterances}
        for utt_id in done & files.keys() & before.keys():
            if before[utt_id] != files[utt_id]:
                raise ValueError(
                    f"--output {self._output} has '{utt_id}' of {before[utt_id]}, not "
                    f"of {files[utt_id]}: name a new output, or --overwrite this one"
                )
        lines = []
        unknown = done & files.keys() - before.keys()
        if unknown:
            lines.append(
                f"{self._output}: from which files it has {len(unknown)} of these "
                "names is not on record; they are taken for the same"
            )
        options = json.loads(json.dumps(options, default=str, allow_nan=False))
        old = self._known.get(OPTIONS, options) if done else options
        changed = [
            f"{name} {_shown(old.get(name))}, now {_shown(options.get(name))}"
            for name in sorted({*old, *options})
            if old.get(name) != options.get(name)
        ]
        if changed:
            lines.append(
                f"{self._output} was begun with other options, which what is there "
                f"keeps: {'; '.join(changed)}"
            )
        kept = {utt_id: path for utt_id, path in before.items() if utt_id in done}
        self._known = {OPTIONS: options, FILES: {**files, **kept}}
        return lines

    def write_down(self) -> None:
        """Keep what the output is made of from now on.

        Raises:
            OSError: It cannot be written.
        """
        text = json.dumps(self._known, ensure_ascii=False, indent=0, allow_nan=False)
        write_whole(self._path, text + "\n")


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)


class ProvenWriter(Writer):
    """A writer that keeps what its output is made of, once there is something in it.

    Args:
        writer: Writes the results.
        made_of: Has been compared with what is asked for.
    """

    def __init__(self, writer: Writer, made_of: Provenance):
        super().__init__()
        self.done = writer.done
        self._writer, self._made_of = writer, made_of
        self._kept = False

    def write(self, record: Record) -> None:
        """Write one result, and before the first one what the output is made of."""
        if not self._kept:
            self._made_of.write_down()
            self._kept = True
        self._writer.write(record)

    def close(self, utterances: Sequence[Utterance], failed: Dict[str, str]) -> None:
        """Finish the output; see `Writer.close`."""
        self._writer.close(utterances, failed)
