"""ESPnet3 metrics of skipping: how many frames were kept, and how fast it was."""

from typing import Dict, Sequence

from espnet_blankskip.upstream import espnet3_module

Field = espnet3_module("contract").Field


class _Ratios(espnet3_module("components.metrics.base_metric").BaseMetric):
    """Ratios of sums over a test set.

    Attributes:
        ratios: output -> the input above the line, the one below, decimal places.
        scale: What every ratio is multiplied by.
    """

    ratios: Dict[str, tuple] = {}
    scale = 1.0

    def __init__(self) -> None:
        above_and_below = [name for ratio in self.ratios.values() for name in ratio[:2]]
        names = list(dict.fromkeys(above_and_below))
        self.inputs = tuple(Field(name, "text") for name in names)
        self.outputs = tuple(Field(name, "number") for name in self.ratios)
        super().__init__()
        for name in names:
            self.add_state(f"sum_{name}", 0.0, "sum")

    def update(self, **values: Sequence[str]) -> None:
        """Add the numbers of some utterances, given as the runner wrote them."""
        for name, numbers in values.items():
            total = getattr(self, f"sum_{name}") + sum(map(float, numbers))
            setattr(self, f"sum_{name}", total)

    def compute(self) -> Dict[str, float]:
        """Return the ratios of everything added.

        Raises:
            ValueError: Nothing was added.
        """
        found = {}
        for output, (above, below, places) in self.ratios.items():
            divisor = getattr(self, f"sum_{below}")
            if divisor == 0:
                raise ValueError(f"nothing to measure: {below} sums up to 0")
            ratio = self.scale * getattr(self, f"sum_{above}") / divisor
            found[output] = round(ratio, places)
        return found


class KeptFrames(_Ratios):
    """Share of the frames that ran through every layer, in percent."""

    ratios = {"KEPT": ("kept_frames", "frames", 1)}
    scale = 100.0


class RealTimeFactor(_Ratios):
    """Seconds of processing per second of audio: the encoder's, and all of it."""

    ratios = {
        "ENCODER_RTF": ("encoder_seconds", "audio_seconds", 4),
        "RTF": ("total_seconds", "audio_seconds", 4),
    }
