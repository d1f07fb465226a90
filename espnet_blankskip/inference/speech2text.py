"""Recognize speech with a trained CTC model whose blank frames skip layers."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple, Union

import torch

from espnet_blankskip.acceleration import accelerate
from espnet_blankskip.audio.stream import AudioReader, Speech
from espnet_blankskip.checkpoint import load_asr_model
from espnet_blankskip.checkpoint.model_checks import (
    check_can_recognize,
    check_device,
    model_sample_rate,
)
from espnet_blankskip.decoding.decode_config import take_options
from espnet_blankskip.decoding.frame_scores import FrameScores, Spent
from espnet_blankskip.decoding.kept_frames import encoder_layers
from espnet_blankskip.decoding.prompt import PromptTokens, is_special
from espnet_blankskip.decoding.search import build_search
from espnet_blankskip.decoding.search_options import SearchOptions
from espnet_blankskip.decoding.time_stamps import frame_clock, shortest_input
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.inference.batching import Window
from espnet_blankskip.inference.detokenization import token_writer
from espnet_blankskip.inference.espnet_methods import EspnetMethods
from espnet_blankskip.inference.long_audio import Windowing
from espnet_blankskip.inference.recognizer import (
    OVERLAP_SECONDS,
    WINDOW_SECONDS,
    Recognizer,
    Result,
)
from espnet_blankskip.inference.run_time_gate import RunTimeGate
from espnet_blankskip.inference.run_time_prompt import RunTimePrompt
from espnet_blankskip.inference.transcription import Transcriber
from espnet_blankskip.inference.window_scoring import score_windows
from espnet_blankskip.option_values import checked_count, checked_number

GPU_BATCH_SIZE = 16


class BlankSkipSpeech2Text(RunTimeGate, RunTimePrompt, EspnetMethods, Recognizer):
    """Recognition with the CTC of a skipping encoder, or of a stock one.

    Takes arrays, files and lists of them, at any sampling rate, of any length. Audio
    longer than `window_seconds` is heard in overlapping windows that are joined at
    blanks (see `long_audio`); its memory does not grow with its length. What a
    checkpoint normalizes per utterance (`normalize: utterance_mvn`,
    `speech_volume_normalize`) is then normalized per window, and a beam search or
    language model starts anew at each cut, which lies in a pause if there is one.
    A front-end whose frames have no known place in time hears audio as a whole.

    OWSM-CTC is asked for a language and a task, and hears windows of the length that
    it was trained on, filled up with silence. Its own symbols are among the tokens and
    not in the text.

    One recognizer may be used by many threads at once, with any search: each call
    gets what it would get alone. Change mode or gate while none is running.

    Args:
        asr_train_config: `config.yaml` of the experiment; None takes the one
            beside the model file.
        asr_model_file: Weights (`valid.loss.ave.pth`, ...). Any weight that is
            missing, left over or misshapen is an error. Any model of ESPnet's ASR
            task with a CTC will do; of a hybrid one the CTC part is used. So will
            OWSM-CTC.
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32", "float64" or "bfloat16".
        gate: How deep frames run; None: as the training config says. A gate layer
            must be among the encoder's `possible_gates`.
        search: What is searched for; None: greedy search.
        weights_only: Refuse checkpoints with pickled objects.
        batch_size: Utterances, or windows of one long recording, at a time; None:
            1 on a CPU, where batches gain nothing, 16 on a GPU.
        channel: Channel of multi-channel audio, counted from 0; None averages them.
        window_seconds: Longest stretch the encoder hears at once; `float("inf")`
            never divides audio; None: 30 s, or what OWSM-CTC was trained on.
        overlap_seconds: What two windows share.
        fast: Use the exact rewrites of `accelerate`, which remember the weights:
            after writing into `asr_model`'s parameters through `.data`, call its
            `eval()`.
        lang_sym, task_sym: What OWSM-CTC is asked for; see `set_prompt`.
        loaded: Model and training arguments that are already in memory, instead of
            the two files.
        **options: Options of `GateOptions` and `SearchOptions` by name, over `gate`
            and `search`: `mode`, `blank_threshold`, `beam_size`, `lm_file`, ...

    Raises:
        TypeError: An option that is none.
        FileNotFoundError, ValueError: See `load_asr_model`; also an option out of
            its range, one that this encoder does not have, or a model without CTC.

    Examples:
        >>> speech2text = BlankSkipSpeech2Text.from_pretrained("exp/asr_x")
        >>> speech2text("interview.flac").text
        >>> [word.start for word in speech2text(samples, rate=48000).words]
        >>> speech2text(["a.wav", "b.mp3"])
    """

    def __init__(
        self,
        asr_train_config: Union[str, Path, None] = None,
        asr_model_file: Union[str, Path, None] = None,
        device: str = "cpu",
        dtype: str = "float32",
        gate: Optional[GateOptions] = None,
        search: Optional[SearchOptions] = None,
        weights_only: bool = True,
        batch_size: Optional[int] = None,
        channel: Optional[int] = None,
        window_seconds: Optional[float] = None,
        overlap_seconds: float = OVERLAP_SECONDS,
        fast: bool = True,
        lang_sym: Optional[str] = None,
        task_sym: Optional[str] = None,
        loaded: Optional[Tuple[torch.nn.Module, object]] = None,
        **options,
    ):
        gate, search, unknown = take_options(options, gate, search)
        if unknown:
            raise TypeError(f"{', '.join(unknown)}: no option of {type(self).__name__}")
        check_device(device, dtype)
        if dtype == "bfloat16" and not fast:
            raise ValueError("dtype=bfloat16 needs fast=True, which knows where it may")
        if loaded is None:
            if asr_model_file is None:
                raise ValueError("asr_model_file must be given")
            loaded = load_asr_model(
                asr_train_config,
                asr_model_file,
                device,
                _weight_dtype(dtype),
                weights_only,
            )
        model, self.asr_train_args = loaded
        check_can_recognize(model)
        if fast:
            accelerate(model, "bfloat16" if dtype == "bfloat16" else None)
        self.asr_model = model
        self.device, self.dtype = device, dtype
        self.set_mode(gate.mode)
        self.set_gate(gate)
        self.search_options = search
        self.set_prompt(lang_sym, task_sym)
        self.token_list = list(model.token_list)
        self.num_layers = encoder_layers(model.encoder)
        self.sample_rate = model_sample_rate(self.asr_train_args)
        self.clock = frame_clock(model, self.sample_rate)
        on_gpu = torch.device(device).type == "cuda"
        if batch_size is None:
            batch_size = GPU_BATCH_SIZE if on_gpu else 1
        self.batch_size = checked_count("batch_size", batch_size, 1)
        if channel is not None:
            channel = checked_count("channel", channel)
        # Only the plugin's encoders keep padding out of their neighbours.
        self.mixes_lengths = hasattr(model.encoder, "encode_frames")
        self.volume = (
            getattr(self.asr_train_args, "speech_volume_normalize", None) or 0.0
        )
        self.reader = AudioReader(self.sample_rate, channel)
        trained = self.trained_seconds
        if window_seconds is None:
            window_seconds = trained or WINDOW_SECONDS
        window_seconds = checked_number("window_seconds", window_seconds)
        # A front-end that does not tell its hop hears audio as a whole.
        windowing = Windowing.of_seconds(
            window_seconds if self.clock else float("inf"),
            checked_number("overlap_seconds", overlap_seconds),
            round(self.clock.shift * self.sample_rate) if self.clock else 1,
            self.sample_rate,
        )
        fill = round((trained or 0) * self.sample_rate)
        self.windowing = replace(windowing, fill=fill)
        self.min_samples = 1 if fill else shortest_input(model)
        self._transcribe = Transcriber(
            build_search(self.token_list, search),
            search.nbest,
            self.token_list,
            token_writer(self.asr_train_args),
            getattr(self.asr_train_args, "token_type", None) or "word",
            self.num_layers,
            self.clock,
            is_special if self.takes_prompt else None,
        )

    @classmethod
    def from_pretrained(
        cls,
        source: Union[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        **options,
    ) -> "BlankSkipSpeech2Text":
        """Load a packed or published checkpoint.

        Args:
            source: Tag of `espnet_model_zoo`, zip, unpacked folder, or experiment.
                A stock one with intermediate CTCs skips, untrained, where
                `gate_layers` names some of their layers.
            device, dtype, **options: As in the constructor.

        Raises:
            CheckpointError: It cannot be found or loaded; the message says why.
        """
        from espnet_blankskip.zoo.model_loading import load_checkpoint

        check_device(device, dtype)
        gate = take_options(options, options.get("gate"), options.get("search"))[0]
        model, train_args, _ = load_checkpoint(
            str(source), device, _weight_dtype(dtype), gate.gate_layers
        )
        return cls(device=device, dtype=dtype, loaded=(model, train_args), **options)

    @classmethod
    def from_model(
        cls,
        asr_model: torch.nn.Module,
        train_args,
        mode: Optional[str] = None,
        fast: bool = False,
        **options,
    ) -> "BlankSkipSpeech2Text":
        """Wrap a model that is already in memory, by default exactly as it is.

        Args:
            asr_model: Model with its weights.
            train_args: Training arguments it was built from (a Namespace).
            mode: As in `GateOptions`.
            fast: As in the constructor; it changes the model in place.
            **options: As in the constructor.
        """
        weight = next(asr_model.parameters())
        return cls(
            device=str(weight.device),
            dtype=str(weight.dtype).replace("torch.", ""),
            mode=mode,
            fast=fast,
            loaded=(asr_model.eval(), train_args),
            **options,
        )

    def batch_decode(
        self,
        speeches: Iterable[Speech],
        batch_size: Optional[int] = None,
        utt_ids: Optional[Iterable[str]] = None,
        rate: Optional[int] = None,
        on_error: str = "raise",
        lang_sym: Optional[str] = None,
        task_sym: Optional[str] = None,
    ) -> List[Result]:
        """Recognize a list of recordings, batched by similar length.

        Args:
            speeches, batch_size, utt_ids, rate, on_error: As for `Recognizer`.
            lang_sym, task_sym: What OWSM-CTC is asked for; None: as `set_prompt` says.

        Raises:
            BadAudio: One of them cannot be used, with `on_error="raise"`. A file
                that is not audio is found before any is decoded.
            ValueError: `batch_size` is below 1, another `on_error`, or a symbol that
                the model does not have.
        """
        score = partial(self.score_windows, prompt=self.prompt_for(lang_sym, task_sym))
        return self._recognize(speeches, batch_size, utt_ids, rate, on_error, score)

    def score_windows(
        self, windows: Sequence[Window], prompt: Optional[PromptTokens] = None
    ) -> Tuple[List[FrameScores], Spent]:
        """Run the model on one batch; see `Recognizer` and `score_windows`."""
        return score_windows(self.asr_model, windows, self.mode, prompt)


def _weight_dtype(dtype: str) -> str:
    """Return what the weights are kept in; bfloat16 is for some layers' arithmetic."""
    return "float32" if dtype == "bfloat16" else dtype
