"""ESPnet3's runner, which also writes down how deep and how fast it decoded."""

from typing import Dict, Union

from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.upstream import espnet3_module


class MeasuringRunner(espnet3_module("systems.esp2_asr.inference").ASRInferenceRunner):
    """ESPnet3's ASR runner for `BlankSkipSpeech2Text`, with more than the text.

    Beside ``text.scp`` it writes ``frames.scp``, ``kept_frames.scp`` and three lists
    of seconds, which the metrics `KeptFrames` and `RealTimeFactor` read. The
    ``contract:`` of inference.yaml must declare them, each of ``kind: number``.
    """

    @staticmethod
    def format_output(result, *, batched):
        """Return the fields of one recognition, or of each of a batch."""
        if batched:
            return [measures(recognition) for recognition in result]
        return measures(result)


def measures(recognition: Recognition) -> Dict[str, Union[str, int, float]]:
    """Return the text, and what `metrics` needs to tell depth and speed.

    Args:
        recognition: Of one utterance.

    Returns:
        ``text``; ``frames`` and ``kept_frames``, counted after subsampling;
        ``encoder_seconds``, ``total_seconds`` and ``audio_seconds``.
    """
    return {
        "text": recognition.text,
        "frames": len(recognition.depth),
        "kept_frames": recognition.kept_frames,
        "encoder_seconds": recognition.encoder_seconds,
        "total_seconds": recognition.total_seconds,
        "audio_seconds": recognition.audio_seconds,
    }
