"""Recognize speech with an exported model: `BlankSkipSpeech2Text` without torch."""

import copy
import math
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from espnet_blankskip.audio.stream import AudioReader, Speech
from espnet_blankskip.decoding.decode_config import take_options
from espnet_blankskip.decoding.frame_scores import FrameScores, Spent, split_scores
from espnet_blankskip.decoding.greedy import GreedySearch
from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.decoding.search import build_search
from espnet_blankskip.decoding.search_options import SearchOptions
from espnet_blankskip.decoding.time_stamps import FrameClock
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.inference.detokenization import token_writer
from espnet_blankskip.inference.long_audio import Windowing
from espnet_blankskip.inference.recognizer import (
    OVERLAP_SECONDS,
    WINDOW_SECONDS,
    Recognizer,
)
from espnet_blankskip.inference.transcription import Transcriber
from espnet_blankskip.option_values import checked_count, checked_number
from espnet_blankskip.runtime.engines import check_engine, open_engine
from espnet_blankskip.runtime.manifest import MODELS, read_manifest

#: A probability that no frame has, so that none is skipped.
NEVER = 2.0


class ExportedSpeech2Text(Recognizer):
    """Recognition with a model that ``blankskip export`` wrote.

    The same calls, options and results as those of ``BlankSkipSpeech2Text``, except
    for what is fixed in the graph: which layers gate, and what the layers behind a
    gate see of skipped frames.

    Args:
        folder: What ``blankskip export`` wrote.
        engine: "onnxruntime" or "openvino".
        device: "cpu".
        dtype: "float32"; "bfloat16", with OpenVINO; "int8", if it was exported.
        threads: Threads of the engine; None: as it likes.
        check_files: Hold the files against their hashes, which takes a second per
            gigabyte.
        gate, search, batch_size, channel, window_seconds, overlap_seconds, **options:
            As for ``BlankSkipSpeech2Text``.

    Raises:
        FileNotFoundError: A file of the folder is missing.
        ValueError: A file was altered, an engine is missing, or an option is out of
            its range or fixed in the graph.

    Examples:
        >>> speech2text = ExportedSpeech2Text("exported")
        >>> speech2text("interview.flac").text
    """

    def __init__(
        self,
        folder: Union[str, Path],
        engine: str = "onnxruntime",
        device: str = "cpu",
        dtype: str = "float32",
        threads: Optional[int] = None,
        check_files: bool = True,
        gate: Optional[GateOptions] = None,
        search: Optional[SearchOptions] = None,
        batch_size: int = 1,
        channel: Optional[int] = None,
        window_seconds: float = WINDOW_SECONDS,
        overlap_seconds: float = OVERLAP_SECONDS,
        **options,
    ):
        gate, search, unknown = take_options(options, gate, search)
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no option of an exported model")
        folder = Path(folder)
        if device != "cpu":
            raise ValueError(f"device={device}: exported models run on the cpu here")
        check_engine(engine, dtype)
        model = MODELS["int8" if dtype == "int8" else "float32"]
        self.manifest = manifest = read_manifest(folder, None if check_files else [])
        if model not in manifest.files:
            raise ValueError(
                f"dtype={dtype}: {folder} was exported as "
                f"{', '.join(manifest.precisions)}; export it with --quantize int8"
            )
        self.engine, self.device, self.dtype = engine, device, dtype
        self.token_list = manifest.tokens
        self.num_layers = manifest.num_layers
        self.front_end = manifest.front_end
        self.sample_rate = self.front_end.sample_rate
        self.min_samples, self.volume = manifest.min_samples, manifest.volume
        self.mixes_lengths = True
        self.clock = FrameClock(manifest.frame_shift, manifest.first_centre)
        self.batch_size = self.checked_batch_size(batch_size)
        self._threshold = manifest.gate.get("blank_threshold")
        self._extension = manifest.gate.get("spike_extension")
        self.set_mode(gate.mode)
        self.set_gate(gate)
        self.search_options = search
        if channel is not None:
            channel = checked_count("channel", channel)
        self.reader = AudioReader(self.sample_rate, channel)
        self.windowing = Windowing.of_seconds(
            checked_number("window_seconds", window_seconds),
            checked_number("overlap_seconds", overlap_seconds),
            round(self.clock.shift * self.sample_rate),
            self.sample_rate,
        )
        tokenizer = dict(manifest.tokenizer)
        if tokenizer.get("bpemodel"):
            tokenizer["bpemodel"] = str(folder / tokenizer["bpemodel"])
        self._transcribe = Transcriber(
            build_search(self.token_list, search),
            search.nbest,
            self.token_list,
            token_writer(Namespace(**tokenizer)),
            tokenizer.get("token_type") or "word",
            self.num_layers,
            self.clock,
        )
        self._run = open_engine(folder, engine, dtype, threads)

    @classmethod
    def from_pretrained(
        cls, source: Union[str, Path], **options
    ) -> "ExportedSpeech2Text":
        """Load an exported folder, by the name that other recognizers use."""
        return cls(source, **options)

    @property
    def can_skip(self) -> bool:
        """Return whether the encoder has a gate."""
        return bool(self.manifest.gate)

    def set_mode(self, mode: Optional[str]) -> None:
        """Choose "skipping" or "dense" (every frame runs through every layer).

        Raises:
            ValueError: Another mode, or one that this model does not have.
        """
        if mode is None:
            mode = "skipping" if self.can_skip else "dense"
        if mode not in ("skipping", "dense"):
            raise ValueError(
                f"mode={mode} must be skipping or dense in an exported model"
            )
        if mode == "skipping" and not self.can_skip:
            raise ValueError("mode=skipping: this model's encoder has no gate")
        self.mode = mode

    def set_gate(self, options: Optional[GateOptions] = None, **changes) -> None:
        """Change the mode, threshold and extension; what is None stays as it is.

        Args:
            options: What to change.
            **changes: Options by name, over those.

        Raises:
            ValueError: A value out of its range or fixed in the graph.
        """
        options = replace(options or GateOptions(), **changes)
        given = replace(options, mode=None).given()
        if given and not self.can_skip:
            raise ValueError(f"{', '.join(given)}: this model's encoder has no gate")
        for name in ("gate_layers", "conv_context", "attn_context"):
            if name in given and given[name] != self.manifest.gate[name]:
                option = name.replace("_", "-")
                raise ValueError(
                    f"{name}={given[name]} is {self.manifest.gate[name]} in this "
                    f"exported model: export the checkpoint again with --{option}"
                )
        self._threshold = given.get("blank_threshold", self._threshold)
        self._extension = given.get("spike_extension", self._extension)
        if options.mode is not None:
            self.set_mode(options.mode)

    def best_path(self, speech: Speech, rate: Optional[int] = None) -> Recognition:
        """Take the best label of every frame, whatever search was asked for."""
        plain = copy.copy(self)
        plain._transcribe = copy.copy(self._transcribe)
        plain._transcribe.search, plain._transcribe.nbest = GreedySearch(), 1
        return plain(speech, rate)

    def score_windows(
        self, windows: Sequence[Window]
    ) -> Tuple[List[FrameScores], Spent]:
        """Run the graph on one batch; see `Recognizer`."""
        begin = time.perf_counter()
        rows = [window.samples for window in windows]
        if not self.manifest.waveform:
            rows = [self.front_end(samples) for samples in rows]
        lens = np.array([len(row) for row in rows])
        padded = np.zeros((len(rows), lens.max(), *rows[0].shape[1:]), np.float32)
        for space, row in zip(padded, rows):
            space[: len(row)] = row
        scores = self._run(padded, lens, **self._settings())
        spent = time.perf_counter() - begin
        frames = split_scores(
            scores.log_probs,
            scores.depth == self.num_layers,
            scores.depth,
            scores.blank_logp,
            scores.lens.tolist(),
            [window.first for window in windows],
        )
        return frames, Spent(spent, spent)

    def _settings(self) -> Dict[str, np.ndarray]:
        found = {}
        if not self.manifest.batches:
            found["level"] = np.array(1.0, np.float32)
        if self.can_skip:
            threshold = NEVER if self.mode == "dense" else self._threshold
            found["log_threshold"] = np.array(math.log(threshold), np.float32)
            found["spike_extension"] = np.array(self._extension, np.int64)
        return found

    def checked_batch_size(self, batch_size: int) -> int:
        """Return it.

        Raises:
            ValueError: It is out of its range.
        """
        size = super().checked_batch_size(batch_size)
        if size > 1 and not self.manifest.batches:
            raise ValueError(
                f"batch_size={size}: this model was exported for sherpa-onnx's way to "
                "hand over a waveform, which is one at a time"
            )
        return size
