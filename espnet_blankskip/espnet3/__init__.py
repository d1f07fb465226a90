"""ESPnet3: the task, runner, metrics and data sets that its configs name by path.

``task: espnet_blankskip.espnet3.ASRTask`` in training.yaml makes the encoders, the
model, the factorized CTC and distillation known by name, in every process that builds
the model. Each name is imported when it is asked for: a worker that only decodes does
without Lightning.
"""

import difflib
import importlib

_PLACES = {
    "ASRSystem": "system",
    "ASRTask": "task",
    "CorpusBuilder": "corpus_builder",
    "KaldiDataset": "kaldi_dataset",
    "KeptFrames": "metrics",
    "MeasuringRunner": "runner",
    "RealTimeFactor": "metrics",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str):
    if name in _PLACES:
        module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
        return getattr(module, name)
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # not an AttributeError: hydra, which resolves the paths of ESPnet3's configs,
    # would go on searching and tell of a missing module
    near = difflib.get_close_matches(name, _PLACES, n=1, cutoff=0.0)[0]
    raise ImportError(f"{__name__} has no {name}; did you mean {__name__}.{near}?")
