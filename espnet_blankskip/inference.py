"""Recognize speech with a trained CTC model whose blank frames skip layers."""

import time
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from espnet_blankskip.audio import BadAudio, check_samples
from espnet_blankskip.checkpoint import load_asr_model
from espnet_blankskip.decoding.kept_frames import encode, encoder_layers, search
from espnet_blankskip.decoding.time_stamps import (
    FrameClock,
    frame_clock,
    shortest_input,
    token_times,
)
from espnet_blankskip.encoders.encoded_frames import MODES
from espnet_blankskip.recognition import Recognition


class BlankSkipSpeech2Text:
    """Greedy CTC recognition with a skipping encoder, or a stock one.

    Args:
        asr_train_config: `config.yaml` of the experiment; None takes the one
            beside the model file.
        asr_model_file: Weights (`valid.loss.ave.pth`, ...). Any weight that is
            missing, left over or misshapen is an error.
        device: "cpu" or "cuda".
        dtype: "float32" or "float64".
        mode: "skipping", "dense" (every frame runs through every layer) or
            "intermediate" (every frame stops at the first gate). An encoder
            without gates knows "dense" only.
        blank_threshold: Blank probability above which a frame is skipped; None
            keeps the value of the training config.
        spike_extension: Frames kept on both sides of a spike; None as above.
        gate_layers: Gates to use, among the encoder's `possible_gates`; None as above.
        conv_context: What the convolution sees at a skipped frame; None as above.
        attn_context: Whether skipped frames are attended to; None as above.
        weights_only: Refuse checkpoints with pickled objects.

    Raises:
        FileNotFoundError, ValueError: See `load_asr_model`; also a mode or gate
            option that this encoder does not have.

    Examples:
        >>> import soundfile
        >>> speech2text = BlankSkipSpeech2Text(
        ...     "exp/asr_x/config.yaml", "exp/asr_x/valid.loss.ave.pth"
        ... )
        >>> speech, rate = soundfile.read("audio.wav", dtype="float32")
        >>> speech2text(speech, rate).text
    """

    def __init__(
        self,
        asr_train_config: Union[str, Path, None] = None,
        asr_model_file: Union[str, Path, None] = None,
        device: str = "cpu",
        dtype: str = "float32",
        mode: str = "skipping",
        blank_threshold: Optional[float] = None,
        spike_extension: Optional[int] = None,
        weights_only: bool = True,
        gate_layers: Optional[Sequence[int]] = None,
        conv_context: Optional[str] = None,
        attn_context: Optional[str] = None,
    ):
        if asr_model_file is None:
            raise ValueError("asr_model_file must be given")
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype={dtype} must be float32 or float64")
        model, train_args = load_asr_model(
            asr_train_config, asr_model_file, device, dtype, weights_only
        )
        self._adopt(model, train_args, device, dtype)
        self.set_mode(mode)
        self.set_gate(
            blank_threshold, spike_extension, gate_layers, conv_context, attn_context
        )

    @classmethod
    def from_model(
        cls, asr_model: torch.nn.Module, train_args, mode: str = "skipping"
    ) -> "BlankSkipSpeech2Text":
        """Wrap a model that is already in memory.

        Args:
            asr_model: Model with its weights.
            train_args: Training arguments it was built from (a Namespace).
            mode: As in the constructor.
        """
        self = cls.__new__(cls)
        weight = next(asr_model.parameters())
        dtype = str(weight.dtype).replace("torch.", "")
        self._adopt(asr_model.eval(), train_args, str(weight.device), dtype)
        self.set_mode(mode)
        return self

    def _adopt(self, model, train_args, device: str, dtype: str) -> None:
        from espnet_blankskip.upstream import asr_task

        self.asr_model = model
        self.asr_train_args = train_args
        self.device = device
        self.dtype = dtype
        # ESPnet's own preprocessor, for the tokenizer and the volume option.
        self.preprocess = asr_task().build_preprocess_fn(train_args, False)
        self.token_list = list(model.token_list)
        self.num_layers = encoder_layers(model.encoder)
        self.sample_rate = model_sample_rate(train_args)
        self.min_samples = shortest_input(model)
        self.clock = frame_clock(model, self.sample_rate)

    @property
    def can_skip(self) -> bool:
        """Return whether the encoder has a gate."""
        return bool(getattr(self.asr_model.encoder, "gate_layers", None))

    def set_mode(self, mode: str) -> None:
        """Choose how deep frames run.

        Raises:
            ValueError: Unknown mode, or one that this encoder does not have.
        """
        if mode not in MODES:
            raise ValueError(f"mode={mode} must be one of {', '.join(MODES)}")
        if mode != "dense" and not self.can_skip:
            name = type(self.asr_model.encoder).__name__
            raise ValueError(
                f"mode={mode} needs an encoder with gate_layers; {name} has none: "
                "use mode=dense"
            )
        self.mode = mode

    def set_gate(
        self,
        blank_threshold: Optional[float] = None,
        spike_extension: Optional[int] = None,
        gate_layers: Optional[Sequence[int]] = None,
        conv_context: Optional[str] = None,
        attn_context: Optional[str] = None,
    ) -> None:
        """Change the gate; None leaves a value as it is.

        Raises:
            ValueError: A value out of its range, or an encoder without a gate.
        """
        values = {
            name: value
            for name, value in (
                ("blank_threshold", blank_threshold),
                ("spike_extension", spike_extension),
                ("gate_layers", gate_layers),
                ("conv_context", conv_context),
                ("attn_context", attn_context),
            )
            if value is not None
        }
        if not values:
            return
        if not self.can_skip:
            raise ValueError(
                f"{', '.join(values)}: this checkpoint's encoder has no gate"
            )
        self.asr_model.encoder.set_gate(**values)

    def __call__(
        self,
        speech: Union[np.ndarray, torch.Tensor],
        rate: Optional[int] = None,
        utt_id: str = "utterance",
    ) -> Recognition:
        """Recognize one utterance.

        Args:
            speech: Samples (S,) in [-1, 1].
            rate: Sampling rate in Hz, checked against the model's if given.
            utt_id: Name used in errors.

        Returns:
            The recognition.

        Raises:
            BadAudio: The audio cannot be used; the message says why.
        """
        if rate is not None and rate != self.sample_rate:
            raise BadAudio(
                utt_id,
                f"sampling rate is {rate} Hz but the model expects "
                f"{self.sample_rate} Hz",
            )
        return self._recognize([self._prepare(speech, utt_id)], [utt_id])[0]

    def best_path(self, speech, rate: Optional[int] = None) -> Recognition:
        """Recognize one utterance (the name of ESPnet's greedy CTC search)."""
        return self(speech, rate)

    def batch_decode(
        self,
        speeches: Sequence[Union[np.ndarray, torch.Tensor]],
        batch_size: int = 8,
        utt_ids: Optional[Sequence[str]] = None,
    ) -> List[Recognition]:
        """Recognize a list of utterances, batched by similar length.

        Args:
            speeches: Samples (S,) each.
            batch_size: Utterances per batch, at least 1.
            utt_ids: Names used in errors.

        Returns:
            Recognitions in the order of the input.

        Raises:
            BadAudio: One of them cannot be used (checked before any is decoded).
            ValueError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        names = list(utt_ids or (f"utterance {i}" for i in range(len(speeches))))
        prepared = [self._prepare(s, name) for s, name in zip(speeches, names)]
        # Padding costs as much as speech, so neighbours in length go together.
        order = sorted(range(len(prepared)), key=lambda i: len(prepared[i]))
        results: List[Optional[Recognition]] = [None] * len(prepared)
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            batch = self._recognize(
                [prepared[i] for i in chosen], [names[i] for i in chosen]
            )
            for i, result in zip(chosen, batch):
                results[i] = result
        return results

    def _prepare(self, speech, utt_id: str) -> np.ndarray:
        if isinstance(speech, torch.Tensor):
            speech = speech.detach().cpu().numpy()
        speech = np.asarray(speech)
        if not np.issubdtype(speech.dtype, np.floating):
            raise BadAudio(
                utt_id,
                f"samples are {speech.dtype}; give floating-point samples in [-1, 1]",
            )
        speech = check_samples(speech, utt_id, self.min_samples)
        if self.preprocess is not None:
            speech = self.preprocess(utt_id, {"speech": speech})["speech"]
        return speech

    @torch.no_grad()
    def _recognize(
        self, speeches: Sequence[np.ndarray], utt_ids: Sequence[str]
    ) -> List[Recognition]:
        from espnet_blankskip.upstream import TooShortUttError

        lens = torch.tensor([len(s) for s in speeches])
        speech = torch.zeros(len(speeches), int(lens.max()))
        speech = speech.to(getattr(torch, self.dtype))
        for row, samples in zip(speech, speeches):
            row[: len(samples)] = torch.from_numpy(samples)
        begin = self._now()
        try:
            encoded = encode(
                self.asr_model,
                speech.to(self.device),
                lens.to(self.device),
                self.mode,
            )
        except TooShortUttError as error:
            raise BadAudio(utt_ids[int(lens.argmin())], f"too short: {error}") from None
        encoder_seconds = self._now() - begin
        hypotheses = search(self.asr_model.ctc, encoded)
        written = [self._write_out(h.token_int) for h in hypotheses]
        total_seconds = self._now() - begin

        results = []
        for i, (hypothesis, (token, text)) in enumerate(zip(hypotheses, written)):
            # A batch's time is shared out by length of audio.
            share = float(lens[i]) / float(lens.sum())
            audio_seconds = float(lens[i]) / self.sample_rate
            num_frames = int(encoded.lens[i])
            depth = encoded.depth[i, :num_frames].cpu().numpy()
            blank_prob = None
            if encoded.blank_logp is not None:
                blank_prob = encoded.blank_logp[i, :num_frames].exp().cpu().numpy()
            clock = self.clock or FrameClock(audio_seconds / max(1, num_frames), 0.0)
            results.append(
                Recognition(
                    text=text,
                    token=token,
                    token_int=hypothesis.token_int,
                    score=hypothesis.score,
                    times=token_times(clock, hypothesis.start, hypothesis.end),
                    depth=depth,
                    blank_prob=blank_prob,
                    kept_frames=int((depth == self.num_layers).sum()),
                    layers_run=int(depth.sum()),
                    encoder_seconds=share * encoder_seconds,
                    total_seconds=share * total_seconds,
                    audio_seconds=audio_seconds,
                )
            )
        return results

    def _write_out(self, token_int: List[int]) -> Tuple[List[str], str]:
        token = [self.token_list[i] for i in token_int]
        tokenizer = getattr(self.preprocess, "tokenizer", None)
        return token, tokenizer.tokens2text(token) if tokenizer else " ".join(token)

    def _now(self) -> float:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()


def model_sample_rate(train_args) -> int:
    """Return the sampling rate in Hz that a model's front-end was built for."""
    import humanfriendly  # ESPnet's front-ends read "8k" with it too

    rate = (getattr(train_args, "frontend_conf", None) or {}).get("fs", 16000)
    return int(humanfriendly.parse_size(str(rate)))
