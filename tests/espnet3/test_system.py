"""ESPnet3's stages around the model: data sets, modes, metrics, the table."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_recipe import needs_espnet3

from espnet_blankskip import espnet3
from espnet_blankskip.decoding.recognition import Recognition
from espnet_blankskip.locks import locked

pytestmark = needs_espnet3


def write_folder(folder, utterances, segments=None, text=None):
    """A Kaldi-style folder: utterance or recording -> seconds of sound at 8 kHz."""
    folder.mkdir(parents=True)
    wav = []
    for name, seconds in utterances.items():
        path = folder / f"{name}.wav"
        soundfile.write(path, np.linspace(-0.5, 0.5, round(8000 * seconds)), 8000)
        wav.append(f"{name} {path}\n")
    (folder / "wav.scp").write_text("".join(wav))
    rows = text or {name: "a b" for name in segments or utterances}
    (folder / "text").write_text("".join(f"{u} {t}\n" for u, t in rows.items()))
    if segments:
        lines = [f"{u} {' '.join(map(str, row))}\n" for u, row in segments.items()]
        (folder / "segments").write_text("".join(lines))
    return folder


def test_data_set_reads_a_folder_with_and_without_segments(tmp_path):
    whole = espnet3.KaldiDataset(write_folder(tmp_path / "whole", {"b": 0.5, "a": 1.0}))
    assert [len(item["speech"]) for item in whole] == [8000, 4000]  # a, then b
    assert set(whole[0]) == {"speech", "text"}
    cut = write_folder(
        tmp_path / "cut", {"rec": 2.0}, {"u1": ("rec", 0.5, 1.0), "u2": ("rec", 1, -1)}
    )
    parts = espnet3.KaldiDataset(cut, inference=True)
    assert [item["utt_id"] for item in parts] == ["u1", "u2"]
    assert [len(item["speech"][1]) for item in parts] == [4000, 8000]
    assert parts[0]["speech"][0] == 8000


def test_only_training_needs_transcripts(tmp_path):
    folder = write_folder(tmp_path / "new", {"a": 0.5})
    (folder / "text").unlink()
    assert set(espnet3.KaldiDataset(folder, inference=True)[0]) == {"utt_id", "speech"}
    with pytest.raises(FileNotFoundError, match="text is missing"):
        espnet3.KaldiDataset(folder)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: (f / "text").unlink(), "text is missing"),
        (lambda f: (f / "text").write_text("a x\n"), "'b' has no transcript"),
        (lambda f: (f / "wav.scp").write_text(""), "it holds no utterance"),
        (
            lambda f: (f / "b.wav").write_bytes(b"no audio"),
            "1 of 2 .* 'b' cannot be read",
        ),
        (lambda f: (f / "b.wav").unlink(), "1 of 2 .* 'b' no such audio file"),
    ],
)
def test_own_folders_are_checked_before_training(tmp_path, damage, message):
    folder = write_folder(tmp_path / "data" / "train", {"a": 0.5, "b": 0.5})
    builder = espnet3.CorpusBuilder()
    builder.build(dataset_dir=tmp_path / "data", sets=["train"])
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        builder.build(dataset_dir=tmp_path / "data", sets=["train"])
    assert len(str(caught.value).splitlines()) == 1


def test_a_builder_without_corpus_and_sets_says_what_to_name(tmp_path):
    with pytest.raises(ValueError, match="name a corpus, or the sets of your own"):
        espnet3.CorpusBuilder().build(dataset_dir=tmp_path)


def test_a_builder_waits_for_nobody_who_prepares_the_same_folders(tmp_path):
    """It went ahead, and both wrote into the same folders."""
    with locked(tmp_path / "data", "a test", "corpus"):
        with pytest.raises(OSError, match="data is in use by a test"):
            espnet3.CorpusBuilder().build(dataset_dir=tmp_path / "data", corpus="fsdd")
    assert not (tmp_path / "data").exists()


def recognition(text, frames, kept, seconds):
    depth = np.array([4] * kept + [2] * (frames - kept))
    return Recognition(
        text, [], [], 0.0, (), depth, None, kept, int(depth.sum()), 0.1, 0.2, seconds
    )


def test_runner_and_metrics_tell_what_was_kept_and_how_fast(tmp_path):
    results = [recognition("a", 10, 1, 1.0), recognition("", 30, 5, 3.0)]
    fields = espnet3.MeasuringRunner.format_output(results, batched=True)
    assert espnet3.MeasuringRunner.format_output(results[0], batched=False) == fields[0]
    assert [one["text"] for one in fields] == ["a", ""]

    def computed(metric):
        for one in fields:  # as ESPnet3 does: numbers are read from text files
            names = [field.name for field in metric.inputs]
            metric.update(**{name: [str(one[name])] for name in names})
        return metric.compute()

    assert computed(espnet3.KeptFrames()) == {"KEPT": 15.0}
    assert computed(espnet3.RealTimeFactor()) == {"ENCODER_RTF": 0.05, "RTF": 0.1}
    with pytest.raises(ValueError, match="frames sums up to 0"):
        espnet3.KeptFrames().compute()


def test_own_runner_takes_other_models_results_as_before():
    from espnet3.systems.esp2_asr.inference import ASRInferenceRunner

    stock = [("hello", ["h"], [1], None)]
    assert ASRInferenceRunner.format_output(stock, batched=False) == {"text": "hello"}
    ours = [recognition("hi", 1, 1, 1.0)] * 2
    assert ASRInferenceRunner.format_output(ours, batched=True) == [{"text": "hi"}] * 2
    assert ASRInferenceRunner.format_output(ours[0], batched=False) == {"text": "hi"}


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system whose stages `infer` and `measure` write down what they were given."""
    from espnet3.systems.base import system as base
    from omegaconf import OmegaConf

    done = []

    def infer(config):
        done.append(
            ("infer", config.model.get("mode"), Path(config.inference_dir).name)
        )

    def measure(config, inference_config):
        folder = Path(config.inference_dir)
        done.append(("measure", inference_config.model.get("mode"), folder.name))
        folder.mkdir(exist_ok=True)
        wer = 10.0 + len(done)
        results = {"wer.WER": {"test": {"WER": wer}}, "k": {"test": {"KEPT": 50.0}}}
        (folder / "metrics.json").write_text(json.dumps(results))
        return results

    monkeypatch.setattr(base, "infer", infer)
    monkeypatch.setattr(base, "measure", measure)

    def build(**inference):
        folders = {"exp_dir": str(tmp_path), "inference_dir": str(tmp_path / "decoded")}
        config = {**folders, "model": {"mode": "skipping"}, **inference}
        return (
            espnet3.ASRSystem(
                inference_config=OmegaConf.create(config),
                metrics_config=OmegaConf.create(folders),
            ),
            done,
        )

    return build


def test_modes_are_decoded_and_measured_side_by_side(system, tmp_path):
    one, done = system(modes=["dense", "skipping", "intermediate"])
    one.infer()
    results = one.measure()
    folders = ["decoded_dense", "decoded", "decoded_intermediate"]
    modes = ["dense", "skipping", "intermediate"]
    assert done == [
        (stage, *row) for stage in ("infer", "measure") for row in zip(modes, folders)
    ]
    assert results["wer.WER"]["test"]["WER"] == 15.0  # the config's own mode
    assert (tmp_path / "RESULTS.md").read_text().splitlines() == [
        "| test set | mode | WER | KEPT |",
        "| --- | --- | ---: | ---: |",
        "| test | dense | 14 | 50 |",
        "| test | skipping | 15 | 50 |",
        "| test | intermediate | 16 | 50 |",
    ]


def test_without_modes_nothing_is_added(system, tmp_path):
    one, done = system()
    one.infer()
    one.measure()
    assert done == [
        ("infer", "skipping", "decoded"),
        ("measure", "skipping", "decoded"),
    ]
    assert not (tmp_path / "RESULTS.md").exists()


def test_an_unknown_mode_is_refused_by_name(system):
    one, done = system(modes=["dense", "fast"])
    with pytest.raises(ValueError, match="modes=fast must be one of"):
        one.infer()
    assert not done
