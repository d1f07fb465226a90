"""ESPnet3's runner, which also writes down how deep and how fast it decoded."""

from espnet_blankskip.espnet3.recognitions import measures
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
