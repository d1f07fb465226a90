"""Makes the plugin's encoders and model known to ESPnet's tasks.

ESPnet finds classes in plain dictionaries of its task modules, and importing one of
them takes ten seconds. So ``register()`` fills the dictionaries of the tasks that are
loaded now, and those of the others right after somebody imports them.
"""

import importlib.abc
import importlib.util
import sys

ASR_TASK = "espnet2.tasks.asr"
S2T_CTC_TASK = "espnet2.tasks.s2t_ctc"
# the class that ends each module: where it exists, the module is loaded
TASK_CLASSES = {
    ASR_TASK: "ASRTask",
    S2T_CTC_TASK: "S2TTask",
    "espnet2.tasks.slu": "SLUTask",
    "espnet2.tasks.s2t": "S2TTask",
    "espnet2.tasks.st": "STTask",
    "espnet2.tasks.asr_transducer": "ASRTransducerTask",
}


def register() -> None:
    """Add the plugin's names to ESPnet's tasks; safe to call any number of times."""
    for name, task_class in TASK_CLASSES.items():
        task = sys.modules.get(name)
        if task is not None and hasattr(task, task_class):
            _add_classes(task)
        elif name not in [getattr(f, "awaits", None) for f in sys.meta_path]:
            sys.meta_path.insert(0, _AfterImport(name))


def _add_classes(task) -> None:
    from espnet_blankskip.encoders import ENCODERS, S2T_ENCODERS
    from espnet_blankskip.encoders.other_tasks import add_to_task
    from espnet_blankskip.model import BlankSkipASRModel

    if task.__name__ == S2T_CTC_TASK:
        task.encoder_choices.classes.update(S2T_ENCODERS)
        return
    if task.__name__ != ASR_TASK:
        add_to_task(task, ENCODERS)
        return
    task.encoder_choices.classes.update(ENCODERS)
    task.model_choices.classes["blankskip"] = BlankSkipASRModel


class _AfterImport(importlib.abc.MetaPathFinder):
    """Import hook that registers once, when a task has just been loaded.

    Args:
        awaits: full name of the task's module.
    """

    def __init__(self, awaits: str):
        self.awaits = awaits

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.awaits:
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
