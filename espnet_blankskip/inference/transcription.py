"""From the scored windows of one recording to its transcript."""

import time
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from espnet_blankskip.audio.stream import Audio
from espnet_blankskip.decoding.frame_scores import FrameScores, Spent
from espnet_blankskip.decoding.hypothesis import CTCSearch, TokenPath
from espnet_blankskip.decoding.recognition import Hypothesis, Recognition
from espnet_blankskip.decoding.time_stamps import FrameClock, token_times
from espnet_blankskip.decoding.words import words_of
from espnet_blankskip.inference.long_audio import cut_into_pieces, join_paths


class Transcriber:
    """Joins and searches windows, and writes out what was found.

    Args:
        search: From scores of kept frames to the best paths, best first.
        nbest: Paths to keep.
        token_list: Tokens by id.
        write_out: From tokens to text.
        token_type: ESPnet's option, which tells how tokens make words.
        num_layers: Layers of the encoder.
        clock: Seconds of frames; None: spread them evenly over the audio.
        is_silent: Whether a token is left out of text and words.
    """

    def __init__(
        self,
        search: CTCSearch,
        nbest: int,
        token_list: Sequence[str],
        write_out: Callable[[Sequence[str]], str],
        token_type: str,
        num_layers: int,
        clock: Optional[FrameClock],
        is_silent: Optional[Callable[[str], bool]] = None,
    ):
        self.search = search
        self.nbest = nbest
        self.token_list = token_list
        self.write_out = write_out
        self.token_type = token_type
        self.num_layers = num_layers
        self.clock = clock
        self.is_silent = is_silent

    def __call__(
        self, scored: Iterable[Tuple[FrameScores, Spent]], audio: Audio
    ) -> Recognition:
        """Transcribe one recording; its windows are taken one at a time.

        Args:
            scored: Scores of each window, in order, and the time they took.
            audio: The recording, whose length is known once the windows are taken.
        """
        encoder_seconds = total_seconds = 0.0

        def windows() -> Iterator[FrameScores]:
            nonlocal encoder_seconds, total_seconds
            for frames, spent in scored:
                encoder_seconds += spent.encoder
                total_seconds += spent.total
                yield frames

        paths: List[TokenPath] = []
        depths, blank_logps = [], []
        for piece in cut_into_pieces(windows()):
            if not depths:
                prompt = max(0, -piece.first)
            depths.append(piece.depth)
            blank_logps.append(piece.blank_logp)
            begin = time.perf_counter()
            found = self.search(piece.log_probs, piece.kept_index, piece.skipped_score)
            paths = join_paths(paths, found, self.nbest)
            total_seconds += time.perf_counter() - begin
        depth = np.concatenate(depths)[prompt:]
        read_gate = all(part is not None for part in blank_logps)
        begin = time.perf_counter()
        clock = self.clock or FrameClock(audio.seconds / max(1, len(depth)), 0.0)
        nbest = tuple(self._write(path, clock) for path in paths)
        total_seconds += time.perf_counter() - begin
        return Recognition(
            **vars(nbest[0]),
            nbest=nbest,
            depth=depth,
            blank_prob=np.exp(np.concatenate(blank_logps)[prompt:])
            if read_gate
            else None,
            kept_frames=int((depth == self.num_layers).sum()),
            layers_run=int(depth.sum()),
            encoder_seconds=encoder_seconds,
            total_seconds=total_seconds,
            audio_seconds=audio.seconds,
            warnings=tuple(audio.remarks),
        )

    def _write(self, path: TokenPath, clock: FrameClock) -> Hypothesis:
        token = [self.token_list[i] for i in path.token_int]
        times = token_times(clock, path.start, path.end)
        said = list(range(len(token)))
        if self.is_silent is not None:
            said = [i for i in said if not self.is_silent(token[i])]
        spoken, spoken_times, sure = (
            [listed[i] for i in said] for listed in (token, times, path.confidence)
        )
        return Hypothesis(
            text=self.write_out(spoken),
            token=token,
            token_int=list(path.token_int),
            score=path.score,
            times=times,
            confidence=tuple(path.confidence),
            words=tuple(words_of(spoken, spoken_times, sure, self.token_type)),
        )
