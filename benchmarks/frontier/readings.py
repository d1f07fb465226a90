"""Everything that a trained model is asked to do, and what comes out.

Gate settings are swept on the dev set; on the test set each model is read at those that
the dev set chose.
"""

import json
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import jiwer
import sentencepiece
import torch
import yaml

from benchmarks.frontier import data
from benchmarks.frontier.training import WEIGHTS
from espnet_blankskip.checkpoint.loading import load_asr_model
from espnet_blankskip.encoders import EncodedFrames
from espnet_blankskip.gate_options import CONV_CONTEXTS, GateOptions

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
LATEST_GATE = 6
#: Utterances that are encoded together: on a CPU few, whose attention fits its caches.
BATCH = {"cpu": 4, "cuda": 48}
#: Kept shares in percent for which the dev set chooses a setting.
BUDGETS = (25, 30, 35, 40, 45, 50, 60, 70, 80)


@dataclass
class Reading:
    """What one model makes of one set in one way.

    Attributes:
        way: "dense", "layer N" (stopping there), "skipping".
        gate: options of the gate, if skipping.
        errors: word errors of each utterance.
        words: in the transcript of each utterance.
        kept: share of frames after each gate.
        confidence: mean log-probability of each utterance's best symbols.
    """

    way: str
    gate: Dict[str, Any]
    errors: List[int]
    words: List[int]
    kept: List[float]
    confidence: List[float]

    @property
    def wer(self) -> float:
        """Word error rate in percent."""
        return 100.0 * sum(self.errors) / sum(self.words)


class Reader:
    """A trained model, ready to be asked.

    Args:
        folder: The experiment.
        device: Where to compute.
    """

    def __init__(self, folder: Path, device: str):
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        self.interctc = config["encoder_conf"].get("interctc_layer_idx") or []
        self.subwords = sentencepiece.SentencePieceProcessor(config["bpemodel"])
        self.tokens = config["token_list"]
        self.device = device
        self.trained_gates = config["encoder_conf"].get("gate_layers") or []
        as_read = _as_ours(config)
        file = folder / "config_read.yaml"
        file.write_text(yaml.safe_dump(as_read), encoding="utf-8")
        self.model = load_asr_model(file, folder / WEIGHTS, device)[0]
        self.model.frontend = None
        self.conv_context = self.model.encoder.gate_options.conv_context

    @torch.inference_mode()
    def read(self, corpus: data.FeatureSet, gate: GateOptions) -> List[Reading]:
        """Recognize a set.

        Args:
            corpus: The set.
            gate: How deep frames run.

        Returns:
            One reading; in mode dense, further ones for stopping at each layer with
            an intermediate CTC.
        """
        ways: Dict[str, Any] = {}
        layers = list(gate.gate_layers or ())
        running = torch.zeros(len(layers) + 1)
        for group, encoded, states in self.encode(corpus, gate):
            for way, x in states.items():
                best, symbols = self.model.ctc.log_softmax(x).max(-1)
                total = (best * (encoded.depth > 0)).sum(1)
                certainty = (total / encoded.lens).tolist()
                texts, sure = ways.setdefault(way, ({}, {}))
                for n, length, row, mean in zip(
                    group, encoded.lens.tolist(), symbols.cpu(), certainty
                ):
                    ids = torch.unique_consecutive(row[:length]).tolist()
                    texts[n] = self.text([i for i in ids if i])
                    sure[n] = mean
            depth = encoded.depth
            running[0] += int((depth > 0).sum())
            for place, layer in enumerate(layers, start=1):
                running[place] += int((depth > layer).sum())
        kept = [round(float(x / running[0]), 4) for x in running[1:]]
        return [self._reading(way, gate, corpus, *ways[way], kept) for way in ways]

    @torch.inference_mode()
    def encode(
        self, corpus: data.FeatureSet, gate: GateOptions
    ) -> Iterator[Tuple[List[int], EncodedFrames, Dict[str, torch.Tensor]]]:
        """Encode a set.

        Yields:
            Places of a batch's utterances in the set, what the encoder made of them,
            and the states to recognize from, by way.
        """
        if gate.mode == "skipping":
            self.model.encoder.set_gate(replace(gate, mode=None))
        order = sorted(range(len(corpus.texts)), key=lambda n: int(corpus.lens[0, n]))
        batch = BATCH[torch.device(self.device).type]
        for start in range(0, len(order), batch):
            group = order[start : start + batch]
            feats, lens = _padded(corpus, group)
            encoded = self.model.encode_frames(
                feats.to(self.device), lens.to(self.device), gate.mode
            )
            states = {gate.mode: encoded.states}
            if gate.mode == "dense":
                states.update({f"layer {n}": x for n, x in encoded.intermediate})
            yield group, encoded, states

    def text(self, token_int: Sequence[int]) -> str:
        """The text of token ids."""
        return self.subwords.decode([self.tokens[i] for i in token_int])

    def _reading(self, way, gate, corpus, texts, sure, kept) -> Reading:
        errors = word_errors(corpus.texts, texts)
        words = [len(reference.split()) for reference in corpus.texts]
        options = gate.given() if way == "skipping" else {}
        options.pop("mode", None)
        sure = [round(sure[n], 4) for n in range(len(errors))]
        return Reading(way, options, errors, words, kept, sure)


def word_errors(references: Sequence[str], texts: Dict[int, str]) -> List[int]:
    """Word errors of the text that was recognized in each utterance."""
    outs = [jiwer.process_words(ref, texts[n]) for n, ref in enumerate(references)]
    return [out.substitutions + out.deletions + out.insertions for out in outs]


def read_all(folder: Path, prepared: Path, device: str) -> Dict[str, List[Reading]]:
    """Ask a model everything, and write it to `readings.json` in its folder.

    Args:
        folder: A finished experiment.
        prepared: Features of its corpus: `dev.pt` and `test.pt`.
        device: Where to compute.

    Returns:
        Readings of both sets.
    """
    reader = Reader(folder, device)
    dev, test = (data.load(prepared / f"{name}.pt") for name in ("dev", "test"))
    dense = GateOptions(mode="dense")
    found = {"dev": reader.read(dev, dense), "test": reader.read(test, dense)}
    if reader.interctc:
        settings = list(_settings(reader))
        swept = [reader.read(dev, gate)[0] for gate in settings]
        found["dev"] += swept
        for gate in _for_the_test(settings, swept):
            found["test"] += reader.read(test, gate)
    write(found, folder / "readings.json")
    return found


def write(found: Dict[str, List[Reading]], file: Path) -> None:
    """Write readings by set, whole or not at all."""
    values = {name: [asdict(r) for r in readings] for name, readings in found.items()}
    part = file.with_name(file.name + ".part")
    part.write_text(json.dumps(values), encoding="utf-8")
    part.replace(file)


def load(file: Path) -> Dict[str, List[Reading]]:
    """Read what `write` wrote."""
    values = json.loads(file.read_text(encoding="utf-8"))
    return {name: [Reading(**r) for r in found] for name, found in values.items()}


def _gates(reader: Reader) -> List[Sequence[int]]:
    """Lists of gates to read a model with: as trained, else one by one."""
    if len(reader.trained_gates) > 1:
        return [reader.trained_gates]
    return [[n] for n in reader.interctc if n <= LATEST_GATE]


def _settings(reader: Reader) -> Iterator[GateOptions]:
    """Settings to sweep."""
    context = reader.conv_context
    for gates in _gates(reader):
        grid = product(THRESHOLDS, (0, 1), ("kept", "all"))
        for threshold, extension, attention in grid:
            yield GateOptions(
                gates, threshold, extension, context, attention, "skipping"
            )
        yield GateOptions(gates, 0.95, 2, context, "kept", "skipping")
        yield GateOptions(gates, 0.95, 2, context, "all", "skipping")
        for other in CONV_CONTEXTS:
            if other != context:
                yield GateOptions(gates, 0.95, 1, other, "kept", "skipping")


def _for_the_test(
    settings: Sequence[GateOptions], swept: Sequence[Reading]
) -> List[GateOptions]:
    """The best on the dev set for each budget of kept frames."""
    settings_of = {json.dumps(r.gate): s for s, r in zip(settings, swept)}
    wanted: Dict[GateOptions, None] = {}
    for gates in gate_lists(swept):
        for budget in BUDGETS:
            best = chosen(swept, gates, budget)
            if best:
                wanted[settings_of[json.dumps(best.gate)]] = None
    return list(wanted)


def gate_lists(swept: Sequence[Reading]) -> List[List[int]]:
    """The lists of gates that were swept."""
    found = {tuple(reading.gate["gate_layers"]): None for reading in swept}
    return [list(gates) for gates in found]


def chosen(
    swept: Sequence[Reading], gates: Sequence[int], budget: float
) -> Optional[Reading]:
    """The best reading with these gates that keeps at most so many percent, if any."""
    fitting = [
        reading
        for reading in swept
        if reading.gate["gate_layers"] == list(gates)
        and 100 * reading.kept[-1] <= budget
    ]
    return min(fitting, key=lambda reading: reading.wer, default=None)


def _padded(corpus: data.FeatureSet, group: Sequence[int]):
    """Features (B, T, 80) and lengths (B,) of some utterances."""
    feats = []
    for n in group:
        start, length = int(corpus.starts[0, n]), int(corpus.lens[0, n])
        feats.append(corpus.frames[start : start + length])
    lens = torch.tensor([len(x) for x in feats])
    return torch.nn.utils.rnn.pad_sequence(feats, batch_first=True).float(), lens


def _as_ours(config: Dict[str, Any]) -> Dict[str, Any]:
    """The configuration with our encoder in the place of ESPnet's.

    The weights have the same names, and one code reads them all; a stock encoder with
    intermediate CTC gets gates there, so that it can be asked to skip.
    """
    encoder_conf = dict(config["encoder_conf"])
    interctc = encoder_conf.get("interctc_layer_idx")
    if interctc and not encoder_conf.get("gate_layers"):
        encoder_conf["gate_layers"] = interctc[:1]
    return {
        **config,
        "encoder": "blankskip_conformer",
        "encoder_conf": encoder_conf,
        "specaug": None,
        "model_conf": {**config["model_conf"], "consistency_weight": 0.0},
    }
