"""The calls of a recognizer, whatever scores the frames: torch or another engine."""

import itertools
from abc import ABC, abstractmethod
from operator import itemgetter
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Union

from espnet_blankskip.audio.bad_audio import BadAudio
from espnet_blankskip.audio.stream import Audio, AudioReader, Speech
from espnet_blankskip.decoding.frame_scores import FrameScores, Spent
from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.inference.long_audio import Windowing
from espnet_blankskip.inference.recording_scoring import (
    ScoreWindows,
    default_name,
    score_recordings,
)
from espnet_blankskip.inference.transcription import Transcriber
from espnet_blankskip.option_values import checked_count

WINDOW_SECONDS = 30.0
OVERLAP_SECONDS = 4.0

Result = Union[Recognition, BadAudio]


class Recognizer(ABC):
    """Mix-in: recordings in, recognitions out.

    Attributes:
        reader: Opens recordings at the model's rate.
        windowing: How long ones are divided.
        batch_size: Utterances, or windows of one long recording, at a time.
        mixes_lengths: Whether a batch may hold different lengths.
        min_samples: Fewest samples that the model turns into a frame.
        volume: Peak that every window is scaled to; 0: as it is.
    """

    reader: AudioReader
    windowing: Windowing
    batch_size: int
    mixes_lengths: bool
    min_samples: int
    volume: float
    _transcribe: Transcriber

    @abstractmethod
    def score_windows(
        self, windows: Sequence[Window]
    ) -> Tuple[List[FrameScores], Spent]:
        """Run the model on one batch.

        Args:
            windows: Stretches of speech.

        Returns:
            Scores of each window's frames, and the time for all of them.

        Raises:
            WindowsTooShort: The longest window gives no frame.
        """

    def checked_batch_size(self, batch_size: int) -> int:
        """Return it.

        Raises:
            ValueError: It is out of its range.
        """
        return checked_count("batch_size", batch_size, 1)

    def __call__(
        self,
        speech: Union[Speech, Sequence[Speech]],
        rate: Optional[int] = None,
        utt_id: Optional[str] = None,
    ) -> Union[Recognition, List[Recognition]]:
        """Recognize one recording, or a list of them.

        Args:
            speech: File in any format libsndfile reads, as its path or open for
                reading in binary mode (it is read from its beginning); or samples
                (S,) or (S, channels) as an array or a tensor: floating-point in
                [-1, 1], int16 or int32. A list or tuple of these is handed to
                `batch_decode`.
            rate: Sampling rate of samples in Hz; None: the model's. Another rate
                than the model's is resampled.
            utt_id: Name used in errors; None: the path, or "utterance".

        Returns:
            The recognition, or one per element of the list.

        Raises:
            BadAudio: The audio cannot be used; the message says why.
        """
        if isinstance(speech, (list, tuple)):
            return self.batch_decode(speech, rate=rate)
        name = utt_id or default_name(speech)
        return self.batch_decode([speech], utt_ids=[name], rate=rate)[0]

    def batch_decode(
        self,
        speeches: Iterable[Speech],
        batch_size: Optional[int] = None,
        utt_ids: Optional[Iterable[str]] = None,
        rate: Optional[int] = None,
        on_error: str = "raise",
    ) -> List[Result]:
        """Recognize a list of recordings, batched by similar length.

        Args:
            speeches: As in `__call__`.
            batch_size: Utterances per batch, at least 1; None: as constructed.
            utt_ids: Names used in errors; recordings without one are named by their
                paths, or "utterance N".
            rate: Sampling rate of those that are samples; None: the model's.
            on_error: "raise", or "return" a `BadAudio` in place of its result.

        Returns:
            Results in the order of the input, equal to one by one.

        Raises:
            BadAudio: One of them cannot be used, with `on_error="raise"`. A file
                that is not audio is found before any is decoded.
            ValueError: `batch_size` is below 1, or another `on_error`.
        """
        return self._recognize(
            speeches, batch_size, utt_ids, rate, on_error, self.score_windows
        )

    def _recognize(
        self,
        speeches: Iterable[Speech],
        batch_size: Optional[int],
        utt_ids: Optional[Iterable[str]],
        rate: Optional[int],
        on_error: str,
        score: ScoreWindows,
    ) -> List[Result]:
        """Recognize by scores of the caller's; else as `batch_decode`."""
        if on_error not in ("raise", "return"):
            raise ValueError(f"on_error={on_error} must be raise or return")
        size = (
            self.batch_size
            if batch_size is None
            else self.checked_batch_size(batch_size)
        )
        results: Dict[int, Result] = {}

        def fail(i: int, error: BadAudio) -> None:
            if on_error == "raise":
                raise error
            results[i] = error

        audios: Dict[int, Audio] = {}
        total, names = 0, iter(utt_ids or ())
        for i, speech in enumerate(speeches):
            total = i + 1
            name = next(names, None) or default_name(speech, i)
            try:
                audios[i] = self.reader.open(speech, rate, name)
            except BadAudio as error:
                fail(i, error)
        order = list(audios)
        if size > 1:
            order.sort(key=lambda i: audios[i].seconds)
        scored = score_recordings(
            score,
            {i: audios[i] for i in order},
            self.windowing,
            size,
            fail,
            self.min_samples,
            self.volume,
            self.mixes_lengths,
        )
        for i, windows in itertools.groupby(scored, key=itemgetter(0)):
            result = self._transcribe((w[1:] for w in windows), audios[i])
            results.setdefault(i, result)  # unless its audio turned out to be bad
        return [results[i] for i in range(total)]
