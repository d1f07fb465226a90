"""ESPnet3's ASR system that decodes and measures in several modes."""

import contextlib
import copy
import logging
from pathlib import Path
from typing import Dict, List

from espnet_blankskip.espnet3.results import results_table
from espnet_blankskip.gate_options import MODES, check_choice
from espnet_blankskip.upstream import espnet3_module

logger = logging.getLogger(__name__)
TABLE_NAME = "RESULTS.md"


class ASRSystem(espnet3_module("systems.esp2_asr.system").ASRSystem):
    """ESPnet3's ASR system; ``modes:`` in inference.yaml adds rows to the results.

    The config's own ``model.mode`` is decoded into ``inference_dir``, as always; each
    other mode of ``modes: [dense, skipping, intermediate]`` into a folder beside it,
    ``<inference_dir>_<mode>``. ``measure`` scores them all, as ESPnet3 does, and puts
    them side by side into ``<exp_dir>/RESULTS.md``.
    """

    def infer(self, *args, **kwargs):
        """Decode the test sets in every mode."""
        for mode in self._modes():
            with self._in_mode(mode):
                super().infer(*args, **kwargs)

    def measure(self, *args, **kwargs):
        """Score every mode; write the table.

        Returns:
            ESPnet3's results of the config's own mode.
        """
        results, folders = {}, {}
        for mode in self._modes():
            with self._in_mode(mode):
                folders[mode] = Path(self.metrics_config.inference_dir)
                results[mode] = super().measure(*args, **kwargs)
        if len(folders) > 1:
            table = Path(self.metrics_config.exp_dir) / TABLE_NAME
            table.write_text(results_table(folders), encoding="utf-8")
            logger.info("Results by mode: %s\n%s", table, table.read_text("utf-8"))
        return results[self._own_mode()]

    def _own_mode(self) -> str:
        """The mode of the config's own results."""
        config = self.inference_config
        if config is None or config.get("modes") is None:
            return "as configured"
        return config.model.get("mode") or "skipping"

    def _modes(self) -> List[str]:
        """All modes to decode in.

        Raises:
            ValueError: inference.yaml names one that does not exist.
        """
        own = self._own_mode()
        if own == "as configured":
            return [own]
        modes = list(self.inference_config.modes)
        for mode in modes:
            check_choice("modes", mode, MODES)
        return modes if own in modes else [*modes, own]

    @contextlib.contextmanager
    def _in_mode(self, mode: str):
        """Let the configs say that this mode is decoded, and where its results are."""
        if mode == self._own_mode():
            yield
            return
        configs: Dict[str, object] = {}
        for role in ("inference_config", "metrics_config"):
            config = configs[role] = getattr(self, role)
            if config is not None:
                changed = copy.deepcopy(config)
                changed.inference_dir = f"{config.inference_dir}_{mode}"
                setattr(self, role, changed)
        self.inference_config.model.mode = mode
        try:
            yield
        finally:
            for role, config in configs.items():
                setattr(self, role, config)
