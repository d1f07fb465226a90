"""Export a checkpoint: graph, tokens, tokenizer and manifest in one folder."""

import os
import shutil
from argparse import Namespace
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import onnx
import torch

from espnet_blankskip.audio.log_mel import LogMel
from espnet_blankskip.checkpoint.model_checks import check_can_recognize
from espnet_blankskip.decoding.kept_frames import encoder_layers
from espnet_blankskip.decoding.time_stamps import (
    FrameClock,
    frame_clock,
    shortest_input,
)
from espnet_blankskip.espnet_version import find_espnet
from espnet_blankskip.export.features import Features, log_mel_of
from espnet_blankskip.export.model import build_model
from espnet_blankskip.export.modules import CannotExport
from espnet_blankskip.export.sherpa import (
    OMNILINGUAL,
    USUAL_LEVEL,
    Loader,
    choose_loader,
)
from espnet_blankskip.export.tokens import check_tokens, token_lines
from espnet_blankskip.gate_options import GateOptions
from espnet_blankskip.locks import locked
from espnet_blankskip.runtime.manifest import (
    FILE,
    MODELS,
    Manifest,
    read_manifest,
    sha256,
)
from espnet_blankskip.temporary import vanishing
from espnet_blankskip.version import __version__

TOKENS = "tokens.txt"
#: Options of a training config that say how tokens make text.
_TOKENIZER = ("token_type", "bpemodel", "use_preprocessor", "preprocessor")
_GATE = (
    "gate_layers",
    "blank_threshold",
    "spike_extension",
    "conv_context",
    "attn_context",
)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        folder: Where.
        manifest: What lies there.
        loader: How sherpa-onnx loads it, if that was asked for.
    """

    folder: Path
    manifest: Manifest
    loader: Optional[Loader] = None


def export_checkpoint(
    source: str,
    folder: Path,
    with_frontend: bool = False,
    for_sherpa: bool = False,
    int8: bool = False,
    gate: Optional[Dict[str, Any]] = None,
) -> Exported:
    """Export a zoo tag, zip, folder or experiment.

    Args:
        source: As for ``blankskip transcribe``.
        folder: A new folder, or an empty one.
        with_frontend: Begin the graph with the waveform.
        for_sherpa: Write what sherpa-onnx needs; see `sherpa`.
        int8: Write a second graph, in 8 bits, beside the first.
        gate: Settings of the gate that differ from those of the checkpoint, by the
            names of ``set_gate``. A stock checkpoint gets gates by ``gate_layers``,
            at layers with an intermediate CTC.

    Raises:
        CannotExport: An option or part that graphs do not know.
        CheckpointError: The checkpoint cannot be loaded.
        FileExistsError: The folder has something in it.
    """
    from espnet_blankskip.zoo.archive import open_checkpoint
    from espnet_blankskip.zoo.model_loading import load_checkpoint

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is no empty folder")
    gate = gate or {}
    model, train_args, _ = load_checkpoint(source, gate_layers=gate.get("gate_layers"))
    set_gate(model, gate)
    weights = sha256(open_checkpoint(source).model_file)
    with locked(folder, "blankskip export"):
        return export_model(
            model, train_args, folder, source, weights, with_frontend, for_sherpa, int8
        )


def set_gate(model: torch.nn.Module, gate: Dict[str, Any]) -> None:
    """Change a model's gate where values are given.

    Raises:
        ValueError: A value out of its range, or an encoder without a gate.
    """
    gate = {name: value for name, value in gate.items() if value is not None}
    if not gate:
        return
    if not getattr(model.encoder, "gate_layers", ()):
        raise ValueError(
            f"{', '.join(gate)}: this checkpoint's encoder has no gate unless "
            "gate_layers names a layer with an intermediate CTC (see blankskip inspect)"
        )
    model.encoder.set_gate(GateOptions(**gate))


def export_model(
    model: torch.nn.Module,
    train_args: Namespace,
    folder: Path,
    source: str = "",
    source_sha256: str = "",
    with_frontend: bool = False,
    for_sherpa: bool = False,
    int8: bool = False,
) -> Exported:
    """Export a model that is in memory.

    Args:
        model: ESPnet's ASR model, in evaluation mode.
        train_args: Its training arguments.
        folder: Where to write; stays empty if this fails.
        source, source_sha256: Where it came from, for the manifest.
        with_frontend, for_sherpa, int8: As for `export_checkpoint`.

    Raises:
        CannotExport: An option or part that graphs do not know.
    """
    check_can_recognize(model)
    check_tokens(train_args)
    log_mel = log_mel_of(model.frontend)
    clock = frame_clock(model, log_mel.sample_rate)
    if clock is None:
        raise CannotExport("the encoder's input layer does not tell its frames' times")
    loader = choose_loader(log_mel, model.normalize) if for_sherpa else None
    waveform = with_frontend or (loader is not None and loader.waveform)
    features = Features(model, waveform)
    build = partial(
        build_model,
        model.encoder,
        model.ctc,
        features,
        None if waveform else log_mel.n_mels,
        repeat=1 if loader is None else loader.repeat(clock.shift),
        level=USUAL_LEVEL if loader is OMNILINGUAL else None,
        metadata={} if loader is None else loader.metadata(len(model.token_list)),
    )
    graphs = {MODELS["float32"]: build()}
    if int8:
        graphs[MODELS["int8"]] = build(int8=True)
    manifest = _describe(
        model, train_args, log_mel, clock, source, source_sha256, waveform
    )
    if loader is OMNILINGUAL:
        manifest = replace(manifest, batches=False)
    folder.mkdir(parents=True, exist_ok=True)
    with vanishing(folder / ".partial") as partial_folder:
        partial_folder.mkdir()
        bpemodel = getattr(train_args, "bpemodel", None)
        if bpemodel:
            shutil.copyfile(bpemodel, partial_folder / manifest.tokenizer["bpemodel"])
        for name, graph in graphs.items():
            onnx.checker.check_model(graph)
            onnx.save(graph, partial_folder / name)
        lines = token_lines(model.token_list, manifest.tokenizer)
        text = "\n".join(lines) + "\n"
        (partial_folder / TOKENS).write_text(text, encoding="utf-8")
        manifest = manifest.write(partial_folder)
        for name in (
            *manifest.files,
            FILE,
        ):  # the manifest last: it tells what is there
            os.replace(partial_folder / name, folder / name)
    return Exported(folder, manifest, loader)


def _describe(
    model: torch.nn.Module,
    train_args: Namespace,
    log_mel: LogMel,
    clock: FrameClock,
    source: str,
    source_sha256: str,
    waveform: bool,
) -> Manifest:
    """Say what a runtime has to know of a model."""
    values = vars(train_args)
    tokenizer = {name: values[name] for name in _TOKENIZER if name in values}
    conf = values.get("preprocessor_conf") or {}
    tokenizer["preprocessor_conf"] = {
        name: conf[name] for name in ("delimiter", "space_symbol") if name in conf
    }
    if tokenizer.get("bpemodel"):
        tokenizer["bpemodel"] = "bpe.model"
    encoder = model.encoder
    gates: Sequence[int] = getattr(encoder, "gate_layers", ())
    return Manifest(
        source=source,
        source_sha256=source_sha256,
        encoder=str(values.get("encoder")),
        num_layers=encoder_layers(encoder),
        gate={name: getattr(encoder, name) for name in _GATE} if gates else {},
        waveform=waveform,
        log_mel=asdict(log_mel),
        min_samples=shortest_input(model),
        frame_shift=clock.shift,
        first_centre=clock.first_centre,
        volume=float(values.get("speech_volume_normalize") or 0.0),
        tokens=list(model.token_list),
        tokenizer=tokenizer,
        versions=versions(),
    )


def remove_int8(folder: Path) -> None:
    """Take the graph in 8 bits out of an exported folder."""
    manifest = read_manifest(folder, [])
    (folder / MODELS["int8"]).unlink()
    manifest.write(folder)


def versions() -> Dict[str, str]:
    """Versions of what an export is made with."""
    return {
        "espnet_blankskip": __version__,
        "espnet": str(find_espnet().version),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
    }
