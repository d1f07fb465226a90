"""Ways to recognize that carry ESPnet's names and do what ESPnet's do."""

import copy
from dataclasses import replace
from typing import List, Optional, Tuple

import numpy as np

from espnet_blankskip.audio.reading import check_samples
from espnet_blankskip.audio.stream import Speech
from espnet_blankskip.decoding.greedy import GreedySearch
from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.decoding.time_stamps import shortest_input
from espnet_blankskip.inference.buffered import context_frames, score_buffers
from espnet_blankskip.inference.recording_scoring import default_name
from espnet_blankskip.option_values import checked_count


class EspnetMethods:
    """Mix-in for a recognizer; see ESPnet's ``Speech2Text`` of ``s2t_inference``."""

    def best_path(
        self,
        speech: Speech,
        rate: Optional[int] = None,
        lang_sym: Optional[str] = None,
        task_sym: Optional[str] = None,
    ) -> Recognition:
        """Take the best label of every frame, as ESPnet's method of that name does.

        Whatever search was asked for, and without silence behind the audio.

        Args:
            speech, rate: As in `__call__`.
            lang_sym, task_sym: As in `batch_decode`.
        """
        plain = copy.copy(self)
        plain.windowing = replace(self.windowing, fill=0)
        plain.min_samples = shortest_input(self.asr_model)
        plain._transcribe = copy.copy(self._transcribe)
        plain._transcribe.search, plain._transcribe.nbest = GreedySearch(), 1
        name = default_name(speech)
        return plain.batch_decode(
            [speech],
            utt_ids=[name],
            rate=rate,
            lang_sym=lang_sym,
            task_sym=task_sym,
        )[0]

    def decode_long_batched_buffered(self, speech: Speech, **options) -> str:
        """Return the text of `decode_long`, whose name this was until ESPnet 202610.

        Args:
            speech, **options: As in `decode_long`.
        """
        return self.decode_long(speech, **options)[0][2]

    def decode_long(
        self,
        speech: Speech,
        batch_size: int = 1,
        context_len_in_secs: float = 2.0,
        lang_sym: Optional[str] = None,
        task_sym: Optional[str] = None,
    ) -> List[Tuple[float, float, str]]:
        """Recognize a long recording in ESPnet's buffers, as its method does.

        A call of the recognizer itself divides long audio too, and in pauses; this one
        gives, in mode dense, the text that the installed ESPnet gives.

        Args:
            speech: As in `__call__`; samples at the model's rate.
            batch_size: Buffers at a time.
            context_len_in_secs: What is heard, and then left out, on both sides of
                each buffer.
            lang_sym, task_sym: As in `batch_decode`.

        Returns:
            First and last second of the recording and its text, as the only element.

        Raises:
            BadAudio: The audio cannot be used.
            ValueError: A context that is no whole number of encoder frames, or an
                option out of its range.
        """
        length = self.windowing.fill or self.windowing.length
        buffers = replace(self.windowing, length=length)
        context = context_frames(context_len_in_secs, buffers, self.sample_rate)
        audio = self.reader.open(speech, None, default_name(speech))
        samples = np.concatenate([np.zeros(0, np.float32), *audio.blocks()])
        scored = score_buffers(
            self.asr_model,
            check_samples(samples, audio.utt_id),
            buffers,
            context,
            checked_count("batch_size", batch_size, 1),
            self.mode,
            self.prompt_for(lang_sym, task_sym),
        )
        text = self._transcribe(scored, audio).text
        return [(0.0, audio.seconds, text)]
