"""Makes the plugin's encoders and model known to ESPnet's tasks.

ESPnet finds classes in plain dictionaries of its task modules, and importing one of
them takes ten seconds. So ``register()`` fills the dictionaries of the tasks that are
loaded now, and those of the others whenever somebody has imported or reloaded them.

On the way it keeps what some of ESPnet's modules print when they are imported from the
user's terminal: that Flash Attention is not installed, and how NLTK fared downloading
what a CTC model never reads.
"""

import contextlib
import importlib.abc
import io
import sys

ASR_TASK = "espnet2.tasks.asr"
S2T_CTC_TASK = "espnet2.tasks.s2t_ctc"
# ESPnet3's task has dictionaries of its own; its runner writes what recognizers return
ESPNET3_ASR_TASK = "espnet3.systems.esp2_asr.task"
ESPNET3_ASR_RUNNER = "espnet3.systems.esp2_asr.inference"
# the class that ends each module: where it exists, the module is loaded
TASK_CLASSES = {
    ASR_TASK: "ASRTask",
    S2T_CTC_TASK: "S2TTask",
    "espnet2.tasks.slu": "SLUTask",
    "espnet2.tasks.s2t": "S2TTask",
    "espnet2.tasks.st": "STTask",
    "espnet2.tasks.asr_transducer": "ASRTransducerTask",
    ESPNET3_ASR_TASK: "ASRTask",
    ESPNET3_ASR_RUNNER: "ASRInferenceRunner",
}

# how the names of the modules that print end, and their lines begin
_TALKATIVE = (".pytorch_backend.transformer.attention", "g2p_en.g2p")
_NOISE = ("Failed to import Flash Attention", "[nltk_data]")


def register() -> None:
    """Add the plugin's names to ESPnet's tasks; safe to call any number of times."""
    for name, task_class in TASK_CLASSES.items():
        task = sys.modules.get(name)
        if task is not None and hasattr(task, task_class):
            _add_classes(task)
    if not any(hasattr(finder, "adds_to_tasks") for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


def _add_classes(task) -> None:
    if task.__name__ == ESPNET3_ASR_RUNNER:
        from espnet_blankskip.decoding.espnet3_runner import accept_recognitions

        accept_recognitions(task.ASRInferenceRunner)
        return
    from espnet_blankskip.encoders import ENCODERS, S2T_ENCODERS
    from espnet_blankskip.encoders.other_tasks import add_to_task
    from espnet_blankskip.model import BlankSkipASRModel

    if task.__name__ == S2T_CTC_TASK:
        task.encoder_choices.classes.update(S2T_ENCODERS)
        return
    if task.__name__ not in (ASR_TASK, ESPNET3_ASR_TASK):
        add_to_task(task, ENCODERS)
        return
    task.encoder_choices.classes.update(ENCODERS)
    task.model_choices.classes["blankskip"] = BlankSkipASRModel


class _AfterImport(importlib.abc.MetaPathFinder):
    """Import hook that stays, since finding a module is not yet importing it."""

    adds_to_tasks = True

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in TASK_CLASSES and not fullname.endswith(_TALKATIVE):
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(fullname, path)
            if spec is not None:
                break
        else:
            return None
        load = spec.loader.exec_module

        def load_and_register(module):
            load(module)
            _add_classes(module)

        def load_quietly(module):
            with _without_noise():
                load(module)

        is_task = fullname in TASK_CLASSES
        spec.loader.exec_module = load_and_register if is_task else load_quietly
        return spec


@contextlib.contextmanager
def _without_noise():
    """Within it, what is printed is held back; afterwards all but noise is printed."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        for held, stream in ((out, sys.stdout), (err, sys.stderr)):
            for line in held.getvalue().splitlines(keepends=True):
                if not line.startswith(_NOISE):
                    stream.write(line)
