"""Open whatever a user calls a model: a checkpoint, or what was exported of one."""

from pathlib import Path
from typing import Any, Optional

from espnet_blankskip.terminal import quiet_import

ENGINES = ("torch", "onnxruntime", "openvino")


def open_recognizer(
    model: str,
    engine: Optional[str] = None,
    threads: Optional[int] = None,
    **options: Any,
):
    """Load a model with the engine that runs it.

    Args:
        model: Zip, folder, experiment or zoo tag; or a folder of ``blankskip export``.
        engine: "torch" for the former, "onnxruntime" or "openvino" for the latter;
            None: torch or onnxruntime.
        threads: Threads to use; None: as the engine likes.
        **options: Those of ``BlankSkipSpeech2Text``.

    Raises:
        ValueError, OSError: It cannot be loaded, or an option is wrong.
    """
    exported = (Path(model) / "manifest.json").is_file()
    if engine is None:
        engine = "onnxruntime" if exported else "torch"
    if engine == "torch":
        if exported:
            raise ValueError(
                f"--engine torch cannot run {model}, which was exported; onnxruntime "
                "and openvino can"
            )
        inference = quiet_import("espnet_blankskip.inference.speech2text")
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        return inference.BlankSkipSpeech2Text.from_pretrained(model, **options)
    if not exported:
        raise ValueError(
            f"--engine {engine} runs what blankskip export wrote, and {model} is no "
            "such folder"
        )
    from espnet_blankskip.runtime import ExportedSpeech2Text

    given = {name: value for name, value in options.items() if value is not None}
    return ExportedSpeech2Text(model, engine=engine, threads=threads, **given)
