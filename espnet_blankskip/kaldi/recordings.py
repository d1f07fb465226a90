"""The audio of a list in memory, one recording after the other."""

from typing import Callable, Iterator, Mapping, Optional, Tuple

import numpy as np

from espnet_blankskip.audio.reading import BadAudio, check_samples, read_audio
from espnet_blankskip.audio.sources import located


def read_recordings(
    paths: Mapping[str, str],
    fail: Callable[[BadAudio], object],
    sample_rate: Optional[int] = None,
    min_samples: int = 1,
    wav_scp: Optional[str] = None,
) -> Iterator[Tuple[str, np.ndarray]]:
    """Read recordings; one that cannot be used does not stop the others.

    Args:
        paths: Audio file by utterance.
        fail: Called with the reason for each one that cannot be used.
        sample_rate: Rate in Hz that all must have; None accepts any.
        min_samples: Fewest samples that can be used.
        wav_scp: List that they come from; relative paths that do not exist here are
            looked up beside it. None leaves them as they are.

    Yields:
        Utterance and samples (S,) float32, all finite, in the order of ``paths``.
    """
    for utt_id, path in paths.items():
        try:
            if wav_scp is not None:
                path = located(path, wav_scp)
            samples = read_audio(path, utt_id, sample_rate)
            check_samples(samples, utt_id, min_samples)
        except BadAudio as error:
            fail(error)
        else:
            yield utt_id, samples
