"""Engines that run exported graphs: ONNX Runtime and OpenVINO.

Both are asked for the scores of the kept frames only, so that nothing is spread over
the frames that were skipped.
"""

import contextlib
import ctypes
import importlib
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from espnet_blankskip.runtime.manifest import MODELS

ENGINES = ("onnxruntime", "openvino")
#: What is worth computing where. OpenVINO makes bfloat16 of the float32 graph; it
#: takes longer over products of 8 bits than over those of float32.
PRECISIONS = {
    "onnxruntime": ("float32", "int8"),
    "openvino": ("float32", "bfloat16"),
}
#: Inputs that have a default.
_SETTINGS = ("log_threshold", "spike_extension", "level")


class Scores(NamedTuple):
    """What a graph says of a batch.

    Args:
        log_probs: Log-probabilities (K, V) of the kept frames of all utterances.
        depth: Layers that each frame ran through (B, T); 0 on padding.
        lens: Frames of each utterance (B,).
        blank_logp: Log-probability of blank at the last gate (B, T), or None.
    """

    log_probs: np.ndarray
    depth: np.ndarray
    lens: np.ndarray
    blank_logp: Optional[np.ndarray]


_OUTPUTS = ("kept_log_probs", "depth", "log_probs_lens", "blank_logp")


def check_engine(engine: str, precision: str) -> None:
    """Check that an engine is known, is there, and has a precision.

    Raises:
        ValueError: naming the option, what it may be, or what to install.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine} must be one of {', '.join(ENGINES)}")
    if precision not in PRECISIONS[engine]:
        having = [name for name, known in PRECISIONS.items() if precision in known]
        raise ValueError(
            f"dtype={precision} with engine={engine} must be one of "
            f"{', '.join(PRECISIONS[engine])}"
            + (f"; engine={having[0]} has {precision}" if having else "")
        )
    _import(engine)


def open_engine(
    folder: Path, engine: str, precision: str, threads: Optional[int] = None
):
    """Load the graph of an exported folder.

    Args:
        folder: The folder.
        engine: "onnxruntime" or "openvino".
        precision: "float32", "bfloat16" or "int8".
        threads: Threads to use; None: as the engine likes.

    Raises:
        ValueError: The engine is unknown or missing, lacks the precision, or cannot
            load the graph.
    """
    check_engine(engine, precision)
    file = folder / MODELS["int8" if precision == "int8" else "float32"]
    if not file.is_file():
        raise ValueError(
            f"dtype={precision}: {folder} has no {file.name}; export it with "
            "--quantize int8"
        )
    kind = OnnxRuntimeEngine if engine == "onnxruntime" else OpenVinoEngine
    with _freed_at_once():
        return kind(file, precision, threads)


#: Of glibc's ``mallopt``: from which size blocks are pages of their own, and from how
#: much on what is free at the end of the heap goes back to the system.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1


@contextlib.contextmanager
def _freed_at_once() -> Iterator[None]:
    """Give large blocks back to the system as soon as they are freed, with glibc.

    Engines copy all weights twice while they load a file. Left alone, glibc keeps what
    is freed in between, and the process stays as large as all copies together.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (TypeError, OSError, AttributeError):  # another system has another way
        yield
        return
    mallopt(_MMAP_THRESHOLD, 128 << 10)
    try:
        yield
    finally:
        # what glibc itself comes to in a process with large blocks
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 64 << 20)


class OnnxRuntimeEngine:
    """ONNX Runtime on the CPU; arguments as for `open_engine`."""

    def __init__(self, file: Path, precision: str, threads: Optional[int] = None):
        runtime = _import("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # it warns of inputs that have defaults
        options.intra_op_num_threads = threads or 0
        # memory grows with the longest utterance, not with all lengths ever seen
        options.enable_mem_pattern = False
        try:
            self._session = runtime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # it raises a dozen kinds of its own
            line = str(error).splitlines()[0]
            raise ValueError(f"{file} cannot be loaded: {line}") from None
        self._inputs = [value.name for value in self._session.get_inputs()]
        outputs = {value.name for value in self._session.get_outputs()}
        self._outputs = [name for name in _OUTPUTS if name in outputs]
        self._only_these = runtime.RunOptions()
        self._only_these.only_execute_path_to_fetches = True

    def __call__(
        self, x: np.ndarray, lens: np.ndarray, **settings: np.ndarray
    ) -> Scores:
        """Score a batch.

        Args:
            x: Samples (B, S) or features (B, T_in, F), float32.
            lens: Lengths (B,) int64.
            **settings: Of log_threshold () float32, spike_extension () int64 and
                level () float32 those that the graph has.
        """
        feed = {**dict(zip(self._inputs, (x, lens))), **settings}
        found = self._session.run(self._outputs, feed, self._only_these)
        return _scores(dict(zip(self._outputs, found)))


class OpenVinoEngine:
    """OpenVINO on the CPU; arguments as for `open_engine`."""

    def __init__(self, file: Path, precision: str, threads: Optional[int] = None):
        openvino = _import("openvino")
        core = openvino.Core()
        try:
            model = core.read_model(str(file))
        except RuntimeError as error:
            line = " ".join(str(error).split())[:200]
            raise ValueError(f"{file} cannot be loaded: {line}") from None
        settings = _settings_as_inputs(openvino, model)
        names = [name for output in model.outputs for name in output.get_names()]
        self._outputs = [name for name in _OUTPUTS if name in names]
        model = openvino.Model(
            [model.output(name) for name in self._outputs],
            [*model.get_parameters(), *settings],
            "kept frames",
        )
        hint = "bf16" if precision == "bfloat16" else "f32"
        options = {
            # left alone, OpenVINO chooses bfloat16 wherever the processor has it
            "INFERENCE_PRECISION_HINT": hint,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._inputs = [value.get_any_name() for value in model.inputs]
        self._inputs = [name for name in self._inputs if name not in _SETTINGS]

    def __call__(
        self, x: np.ndarray, lens: np.ndarray, **settings: np.ndarray
    ) -> Scores:
        """Score a batch; as ONNX Runtime does."""
        feed = {**dict(zip(self._inputs, (x, lens))), **settings}
        found = self._request.infer(feed)
        return _scores({name: np.array(found[name]) for name in self._outputs})


def _settings_as_inputs(openvino, model) -> List:
    """Make inputs of the settings, which OpenVINO takes for constants."""
    parameters = []
    for node in model.get_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "Constant" and name in _SETTINGS:
            parameter = openvino.opset13.parameter([], node.get_element_type(), name)
            parameter.output(0).set_names({name})
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(parameter.output(0))
            parameters.append(parameter)
    return parameters


def _scores(found: Dict[str, np.ndarray]) -> Scores:
    return Scores(
        found["kept_log_probs"],
        found["depth"],
        found["log_probs_lens"],
        found.get("blank_logp"),
    )


def _import(engine: str):
    try:
        return importlib.import_module(engine)
    except ImportError:
        raise ValueError(
            f"engine={engine} is not installed: pip install {engine}"
        ) from None
