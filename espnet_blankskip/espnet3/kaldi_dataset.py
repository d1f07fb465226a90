"""Kaldi-style data folders as ESPnet3 data sets."""

from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.kaldi.utterances import Problem, Utterance, list_utterances
from espnet_blankskip.terminal import first_of
from espnet_blankskip.upstream import espnet3_module

Field = espnet3_module("contract").Field


class KaldiDataset(espnet3_module("components.data.base_dataset").BaseDataset):
    """Utterances of a folder with ``wav.scp``, ``text`` and maybe ``segments``.

    Items are in the order of their ids. Paths in ``wav.scp`` are files, absolute or
    relative to the folder that the process runs in.

    Args:
        folder: The data folder.
        inference: Items carry ``utt_id``, and the sampling rate beside the samples,
            as ESPnet3's inference contract wants them; training wants neither. Only
            here may ``text`` be missing, which nothing but measuring asks for.

    Raises:
        FileNotFoundError: It is no data folder.
        ValueError: Its lists are damaged, or contradict one another.
    """

    fields = (Field("speech", "audio"), Field("text", "text"))

    def __init__(self, folder: Union[str, Path], inference: bool = False):
        self.folder = Path(folder)
        self.inference = inference
        self._utterances, self._texts = read_folder(self.folder, not inference)
        if self._texts is None:
            self.fields = (Field("speech", "audio"),)

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, index: int) -> Dict[str, Any]:
        """Return one utterance: ``speech``, float32 (S,), and ``text``.

        Raises:
            BadAudio: Its audio cannot be used; the message names it.
        """
        utterance = self._utterances[int(index)]
        samples, rate = utterance.read_checked()
        item: Dict[str, Any] = {"speech": samples}
        if self._texts is not None:
            item["text"] = self._texts[utterance.utt_id]
        if self.inference:
            item.update(utt_id=utterance.utt_id, speech=(rate, samples))
        return item


def read_folder(
    folder: Path, needs_text: bool = True
) -> Tuple[List[Utterance], Optional[Dict[str, str]]]:
    """Return a folder's utterances in sorted order, and their transcripts by id.

    Args:
        folder: The data folder.
        needs_text: Whether it must have ``text``; if not, None stands for it.

    Raises:
        FileNotFoundError: ``wav.scp`` or ``text`` is missing.
        ValueError: A list is damaged, or an utterance lacks its recording or its
            transcript.
    """
    has_text = needs_text or (folder / "text").is_file()
    for name in ("wav.scp", "text") if has_text else ("wav.scp",):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"data folder {folder}: {name} is missing")
    utterances, problems = list_utterances(folder)
    texts = read_table(folder / "text") if has_text else None
    if texts is not None:
        ids = [utterance.utt_id for utterance in utterances]
        problems += [(i, "has no transcript") for i in ids if not texts.get(i)]
    if problems:
        raise ValueError(f"data folder {folder}: {named(problems)}")
    if not utterances:
        raise ValueError(f"data folder {folder}: it holds no utterance")
    return utterances, texts


def named(problems: Iterable[Problem]) -> str:
    """The first utterances that cannot be used, and why, in one line."""
    return first_of(f"'{utt_id}' {reason}" for utt_id, reason in problems)


def transcripts(folder: str) -> List[str]:
    """Return the transcripts of a data folder, for ``tokenizer.text_builder``."""
    utterances, texts = read_folder(Path(folder))
    return [texts[utterance.utt_id] for utterance in utterances]
