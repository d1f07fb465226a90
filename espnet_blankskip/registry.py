"""Makes the plugin's encoders and model known to ESPnet's ASR task.

ESPnet finds classes in plain dictionaries of ``espnet2.tasks.asr``, and importing
that module takes ten seconds. So ``register()`` fills the dictionaries now if the
module is loaded, and otherwise right after somebody imports it.
"""

import importlib.abc
import importlib.util
import sys

ASR_TASK = "espnet2.tasks.asr"


def register() -> None:
    """Add the plugin's names to ESPnet's ASR task; safe to call any number of times."""
    task = sys.modules.get(ASR_TASK)
    if task is not None and hasattr(task, "ASRTask"):
        _add_classes(task)
    elif not any(isinstance(f, _AfterImport) for f in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


def _add_classes(task) -> None:
    from espnet_blankskip.encoders import ENCODERS
    from espnet_blankskip.model import BlankSkipASRModel

    task.encoder_choices.classes.update(ENCODERS)
    task.model_choices.classes["blankskip"] = BlankSkipASRModel


class _AfterImport(importlib.abc.MetaPathFinder):
    """Import hook that registers once, when the ASR task has just been loaded."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != ASR_TASK:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None:
            return None
        load = spec.loader.exec_module

        def load_and_register(module):
            load(module)
            _add_classes(module)

        spec.loader.exec_module = load_and_register
        return spec
