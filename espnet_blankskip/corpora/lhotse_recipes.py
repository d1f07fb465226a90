"""lhotse's corpus recipes, called so that one bad file does not end a preparation.

https://lhotse.readthedocs.io/en/latest/corpus.html
"""

import inspect
import logging
from ast import literal_eval
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partialmethod
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional, Sequence

from tqdm import tqdm

from espnet_blankskip.corpora.finding import SourceMissing
from espnet_blankskip.terminal import typed_line

#: lhotse's name for the folder in which a recipe writes its manifests.
OUTPUT_FOLDER = "output_dir"
#: Rate in Hz of the stand-in for an audio file that lhotse cannot open.
UNREADABLE_RATE = 1
#: Longer than any recording, so that no supervision is cut off at its end.
UNREADABLE_SECONDS = 7 * 24 * 3600


def import_recipes():
    """The module ``lhotse.recipes``.

    Raises:
        ValueError: If lhotse is not installed.
    """
    try:
        import lhotse.recipes
    except ImportError as error:
        raise ValueError(
            f"lhotse is not installed ({error}): pip install 'espnet_blankskip[recipe]'"
        ) from None
    return lhotse.recipes


def recipe(step: str, corpus: str) -> Optional[Callable]:
    """lhotse's function ``STEP_CORPUS``, or None where it has none."""
    return getattr(import_recipes(), f"{step}_{corpus}", None)


def preparation(corpus: str) -> Callable:
    """lhotse's ``prepare_CORPUS``.

    Raises:
        ValueError: If lhotse does not know the corpus.
    """
    function = recipe("prepare", corpus)
    if function is None:
        steps = (name.partition("_") for name in dir(import_recipes()))
        known = sorted(name for step, _, name in steps if step == "prepare")
        near = get_close_matches(corpus, known, n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"one of {known}"
        raise ValueError(f"--corpus lhotse:{corpus}: lhotse has no such corpus; {hint}")
    return function


def parse_options(words: Sequence[str]) -> Dict[str, object]:
    """``name=value`` words as keyword arguments; values are Python's or plain text.

    Raises:
        ValueError: If a word has no ``=``.
    """
    options: Dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ValueError(f"--lhotse_options: {word!r} must be name=value")
        try:
            options[name] = literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


def check_options(corpus: str, options: Dict[str, object]) -> str:
    """Check options against ``prepare_CORPUS``, before anything is downloaded.

    Returns:
        Its first parameter, which says where the corpus is and need not be given.

    Raises:
        ValueError: For an option that it does not take, or one that it lacks.
    """
    parameters = inspect.signature(preparation(corpus)).parameters
    first = next(iter(parameters))
    free_form = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in options if name not in parameters]
    if unknown and not free_form:
        raise ValueError(
            f"--lhotse_options {unknown[0]}: prepare_{corpus} takes"
            f" {', '.join(parameters)}"
        )
    missing = [
        f"{p.name}=..."
        for p in parameters.values()
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and p.name not in (first, OUTPUT_FOLDER, *options)
    ]
    if missing:
        raise ValueError(
            f"--corpus lhotse:{corpus} needs --lhotse_options {' '.join(missing)}"
        )
    return first


def prepare(
    corpus: str,
    root: Path,
    options: Optional[Dict[str, object]] = None,
    manifests: Optional[Path] = None,
) -> object:
    """Call ``prepare_CORPUS`` on a corpus folder.

    Args:
        corpus: lhotse's name of the corpus.
        root: Folder for its first parameter, if the options do not give that.
        options: Further arguments.
        manifests: Folder that lhotse may write into; None keeps all in memory, where
            the recipe can.

    Returns:
        Whatever the recipe returns. A recording whose file lhotse cannot open has the
        sampling rate :data:`UNREADABLE_RATE`.

    Raises:
        ValueError: If it fails; the message is for the user.
    """
    function = preparation(corpus)
    arguments = {check_options(corpus, options or {}): root, **(options or {})}
    if OUTPUT_FOLDER in inspect.signature(function).parameters:
        arguments.setdefault(OUTPUT_FOLDER, manifests)
    with unreadable_files_kept(), few_warnings(corpus), bars_on_terminals():
        try:
            return function(**arguments)
        except Exception as error:  # whatever a recipe raises, the user wants a line
            raise ValueError(
                f"lhotse cannot prepare {corpus} in {root}: {typed_line(error)}"
            ) from error


def download(corpus: str, **arguments) -> Path:
    """Call ``download_CORPUS``; lhotse goes on where an earlier call has stopped.

    Returns:
        What the recipe returns, usually the folder of the corpus.

    Raises:
        SourceMissing: If it fails.
    """
    function = recipe("download", corpus)
    try:
        with bars_on_terminals():
            return function(**arguments)
    except Exception as error:
        raise SourceMissing(
            f"cannot download {corpus}: {typed_line(error)}; run it again to go on"
        ) from error


@contextmanager
def unreadable_files_kept() -> Iterator[None]:
    """Let ``Recording.from_file`` return a stand-in for a file it cannot open.

    Most recipes open every file of a corpus and end with a traceback at the first
    broken one. The stand-ins are dropped, and named, when the sets are written.
    """
    from lhotse.audio import AudioSource, Recording

    original = Recording.from_file

    def from_file(path, recording_id=None, *args, **kwargs) -> Recording:
        try:
            recording = original(path, recording_id, *args, **kwargs)
            if recording.num_samples > 0:
                return recording
        except Exception:  # depends on the format and on lhotse's audio back end
            pass
        name = recording_id(Path(path)) if callable(recording_id) else recording_id
        return Recording(
            id=Path(path).stem if name is None else name,
            sources=[AudioSource(type="file", channels=[0], source=str(path))],
            sampling_rate=UNREADABLE_RATE,
            num_samples=UNREADABLE_RATE * UNREADABLE_SECONDS,
            duration=float(UNREADABLE_SECONDS),
        )

    Recording.from_file = staticmethod(from_file)
    try:
        yield
    finally:
        Recording.from_file = staticmethod(original)


@contextmanager
def bars_on_terminals() -> Iterator[None]:
    """Keep a recipe's progress bars out of files and pipes."""
    original = tqdm.__init__
    tqdm.__init__ = partialmethod(original, disable=None)
    try:
        yield
    finally:
        tqdm.__init__ = original


@contextmanager
def few_warnings(corpus: str, shown: int = 3) -> Iterator[None]:
    """Show a recipe's first warnings and count the others, of which there are many."""
    count = 0

    def show_first(record: logging.LogRecord) -> bool:
        nonlocal count
        count += 1
        return count <= shown

    root = logging.getLogger()
    root.addFilter(show_first)
    try:
        yield
    finally:
        root.removeFilter(show_first)
        if count > shown:
            print(f"lhotse: {count - shown} more warnings about {corpus}", flush=True)
