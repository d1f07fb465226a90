"""Train a row's model; what is left behind is an ESPnet experiment.

Killed at any moment, it goes on from its last checkpoint.
"""

import logging
import math
import random
import time
from pathlib import Path
from typing import Dict, Iterator, List

import torch
import yaml

from benchmarks.frontier import data
from benchmarks.frontier.rows import Row, configuration
from espnet_blankskip.checkpoint.loading import read_train_config
from espnet_blankskip.checkpoint.model_building import build_asr_model
from espnet_blankskip.upstream import RelPositionMultiHeadedAttention

logger = logging.getLogger(__name__)
WEIGHTS = "valid.loss.best.pth"  # an ESPnet name; here the last step is the best
RESUME = "checkpoint.pth"
SHARED = "shared.pth"  # a checkpoint that other rows go on from
WARM_UP = 0.03  # of the steps, for the learning rate
SKIP_FROM = 0.8  # of the steps: skipping and distillation begin, and the rate falls


def write_config(row: Row, folder: Path, prepared: Path, seed: int, steps: int) -> None:
    """Write the ESPnet configuration of a row's model into its experiment folder."""
    config = configuration(row)
    config["token_list"] = data.token_list(prepared, row.vocabulary)
    config["bpemodel"] = str((prepared / f"bpe{row.vocabulary}.model").resolve())
    config["normalize_conf"] = dict(
        stats_file=str((prepared / "feats_stats.npz").resolve())
    )
    if config["encoder_conf"].get("train_skip"):
        config["encoder_conf"]["skip_warmup_steps"] = branching(steps)
    if config["model_conf"]["kd_weight"]:
        config["model_conf"]["kd_warmup_steps"] = branching(steps)
    config["seed"] = seed
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def train(
    row: Row,
    folder: Path,
    prepared: Path,
    seed: int,
    steps: int,
    peak_rate: float,
    matrix_rate: float,
    frames_per_batch: int,
    device: str,
    dtype: str = "float32",
    deadline: float = math.inf,
) -> bool:
    """Train a model, or go on where it stood.

    Args:
        row: What to train.
        folder: Its experiment.
        prepared: Features and subword models of its corpus.
        seed: Of weights, batches and masks.
        steps: Updates.
        peak_rate: Learning rate, once it has risen; over the last fifth of the steps
            it falls to zero.
        matrix_rate: The same of the matrices in the layers, which Muon updates; 0
            leaves them to AdamW, as the rest.
        frames_per_batch: Feature frames of an update's utterances, before they are
            doubled for consistency.
        device: "cuda", or "cpu".
        dtype: "float32", or "bfloat16" where autocast computes in that.
        deadline: `time.time()` at which to stop, with a checkpoint.

    Returns:
        Whether it is finished.

    Raises:
        FileNotFoundError: What it begins with is not there.
        ValueError: It was begun, or its trunk was trained, with other settings.
    """
    if (folder / WEIGHTS).is_file():
        return True
    if not (prepared / "train.pt").is_file():
        raise FileNotFoundError(f"no features in {prepared}: `prepare` makes them")
    folder.mkdir(parents=True, exist_ok=True)
    write_config(row, folder, prepared, seed, steps)
    torch.manual_seed(seed)
    model = build_asr_model(read_train_config(folder / "config.yaml"))
    if row.init:
        _begin_with(model, folder.parent / f"{row.init}.{seed}" / WEIGHTS)
    frontend, model.frontend = model.frontend, None  # features come in
    model.to(device).train()
    for module in model.modules():
        if isinstance(module, RelPositionMultiHeadedAttention):
            module.use_sdpa = True  # the same sums in fewer passes over memory
    optimizers = _optimizers(model, peak_rate, matrix_rate)
    schedules = {
        f"{name}_schedule": torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: _rate(step / steps)
        )
        for name, optimizer in optimizers.items()
    }
    parts = dict(model=model, **optimizers, **schedules)
    settings = dict(
        steps=steps,
        rate=peak_rate,
        matrix_rate=matrix_rate,
        frames=frames_per_batch,
    )
    step = _resume(folder / RESUME, parts, settings, device)
    if row.trunk and not step:
        step = _resume(_shared(folder, row, seed), parts, settings, device)
    corpus = data.load(prepared / "train.pt")
    batches = _batches(corpus, frames_per_batch, row.vocabulary, seed, step)
    started, audio, first = time.time(), 0.0, step
    while step < steps:
        if time.time() > deadline:
            _checkpoint(folder / RESUME, parts, settings, step)
            return False
        batch = {name: x.to(device) for name, x in next(batches).items()}
        batch["text_lengths"] = batch["text_lengths"].cpu()
        audio += int(batch["speech_lengths"].sum()) / 100
        if row.drawn:
            model.encoder.set_gate(**random.Random(f"{seed} {step}").choice(row.drawn))
        torch.manual_seed(1_000_000 * seed + step)  # resumed is as never stopped
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            loss, stats, _ = model(**batch)
        model.zero_grad(set_to_none=True)
        loss.sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        if bool(norm.isfinite()):
            for optimizer in optimizers.values():
                optimizer.step()
        for schedule in schedules.values():
            schedule.step()
        step += 1
        if step % 50 == 0 or step == first + 10:
            spent = time.time() - started
            _log(step, steps, stats, spent, audio, step - first)
        if step == branching(steps) and not row.trunk:
            _checkpoint(folder / SHARED, parts, settings, step)
        if step % max(1, steps // 20) == 0 and step < steps:
            _checkpoint(folder / RESUME, parts, settings, step)
    model.frontend = frontend.to(device)
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    _save(folder / WEIGHTS, state)
    (folder / RESUME).unlink(missing_ok=True)
    return True


def _optimizers(
    model: torch.nn.Module, rate: float, matrix_rate: float
) -> Dict[str, torch.optim.Optimizer]:
    """AdamW, and Muon (https://kellerjordan.github.io/posts/muon) for matrices."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        in_layers = name.startswith("encoder.encoders.") and name.endswith(".weight")
        matrix = bool(matrix_rate) and in_layers and parameter.ndim == 2
        (matrices if matrix else others).append(parameter)
    found: Dict[str, torch.optim.Optimizer] = dict(
        optimizer=torch.optim.AdamW(
            others, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
    )
    if matrices:
        found["muon"] = torch.optim.Muon(
            matrices,
            lr=matrix_rate,
            weight_decay=0.01,
            adjust_lr_fn="match_rms_adamw",
        )
    return found


def _begin_with(model: torch.nn.Module, file: Path) -> None:
    """Copy the encoder of a trained row, what fits, as ESPnet's ``--init_param``."""
    if not file.is_file():
        raise FileNotFoundError(f"{file.parent.name} is to be trained first")
    weights = torch.load(file, weights_only=True)
    for name, own in model.state_dict().items():
        found = weights.get(name)
        if name.startswith("encoder.") and found is not None:
            if found.shape == own.shape:
                own.copy_(found)


def branching(steps: int) -> int:
    """The step up to which rows of one trunk are the same model."""
    return int(SKIP_FROM * steps)


def _rate(done: float) -> float:
    """Learning rate as a share of its peak, after a share of the steps."""
    return min(done / WARM_UP, 1.0, (1 - done) / (1 - SKIP_FROM))


def _shared(folder: Path, row: Row, seed: int) -> Path:
    """The checkpoint of the row that this one goes on from."""
    trunk = f"{row.trunk}.{seed}"
    file = folder.parent / trunk / SHARED
    if not file.is_file():
        raise FileNotFoundError(f"{trunk} is to be trained first")
    return file


def _batches(
    corpus: data.FeatureSet,
    frames: int,
    vocabulary: int,
    seed: int,
    skip: int,
) -> Iterator[Dict[str, torch.Tensor]]:
    """Batches without end, each utterance once an epoch at a speed that is drawn.

    Args:
        corpus: The training set.
        frames: Feature frames of a batch, padding included.
        vocabulary: Whose token ids to take.
        seed: Of the order and the speeds.
        skip: Batches that were given out before.
    """
    tokens = [torch.tensor(ids) for ids in corpus.tokens[vocabulary]]
    epoch = 0
    while True:
        draw = random.Random(f"{seed} {epoch}")
        speeds = [draw.randrange(len(data.SPEEDS)) for _ in tokens]
        lens = {n: int(corpus.lens[s, n]) for n, s in enumerate(speeds)}
        order = sorted(lens, key=lambda n: lens[n] * draw.uniform(0.95, 1.05))
        groups: List[List[int]] = [[]]
        for n in order:
            widest = max([lens[n], *(lens[m] for m in groups[-1])])
            if widest * (len(groups[-1]) + 1) > frames and groups[-1]:
                groups.append([])
            groups[-1].append(n)
        draw.shuffle(groups)
        for group in groups:
            if skip > 0:
                skip -= 1
                continue
            starts = [int(corpus.starts[speeds[n], n]) for n in group]
            feats = [corpus.frames[s : s + lens[n]] for s, n in zip(starts, group)]
            pad = torch.nn.utils.rnn.pad_sequence
            labels = [tokens[n] for n in group]
            yield dict(
                speech=pad(feats, batch_first=True).float(),
                speech_lengths=torch.tensor([lens[n] for n in group]),
                text=pad(labels, batch_first=True, padding_value=-1),
                text_lengths=torch.tensor([len(ids) for ids in labels]),
            )
        epoch += 1


def _save(file: Path, values: Dict) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(file.name + ".part")
    torch.save(values, part)
    part.replace(file)


def _checkpoint(file: Path, parts: Dict, settings: Dict, step: int) -> None:
    """Write what `_resume` reads."""
    state = {name: part.state_dict() for name, part in parts.items()}
    _save(file, dict(state, step=step, settings=settings))


def _resume(file: Path, parts: Dict, settings: Dict, device: str) -> int:
    """Bring back a checkpoint, if there is one; returns its step.

    Raises:
        ValueError: It is one of a training with other settings.
    """
    if not file.is_file():
        return 0
    state = torch.load(file, map_location=device, weights_only=True)
    for name, value in settings.items():
        known = state["settings"].get(name)
        if known != value:
            raise ValueError(
                f"{file.parent.name} was trained with {name} {known} so far, "
                f"not {value}: go on with the same, or remove it"
            )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]


def _log(step, steps, stats, spent: float, audio: float, done: int) -> None:
    """Say where the training is."""
    numbers = " ".join(
        f"{name}={float(value):.3f}"
        for name, value in stats.items()
        if value is not None
    )
    logger.info(
        "step %d of %d, %.0f ms each, %.0f times real time: %s",
        step,
        steps,
        1000 * spent / done,
        audio / spent,
        numbers,
    )
