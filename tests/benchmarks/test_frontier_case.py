"""The frontier of error rate and arithmetic: what its rows and trainings do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.frontier import data, readings, training
from benchmarks.frontier.rows import BASE, ROWS, configuration
from espnet_blankskip.checkpoint.loading import read_train_config
from espnet_blankskip.checkpoint.model_building import build_asr_model
from espnet_blankskip.encoders import BlankSkipConformerEncoder


def test_features_are_those_of_the_models_front_end(prepared):
    corpus = data.load(prepared / "train.pt")
    assert corpus.lens.shape == (3, 40) and len(corpus.frames) == corpus.lens.sum()
    ends = corpus.starts + corpus.lens
    assert ends.flatten().tolist() == corpus.lens.flatten().cumsum(0).tolist()
    slow, own, fast = corpus.lens.sum(1).tolist()
    assert slow / own == pytest.approx(1 / 0.9, rel=0.01)
    assert fast / own == pytest.approx(1 / 1.1, rel=0.01)


def test_token_ids_say_the_transcripts(prepared):
    corpus = data.load(prepared / "train.pt")
    tokens = data.token_list(prepared, 60)
    assert tokens[0] == "<blank>" and tokens[1] == "<unk>" and tokens[-1] == "<sos/eos>"
    for text, ids in zip(corpus.texts, corpus.tokens[60]):
        assert "".join(tokens[i] for i in ids).replace("▁", " ").strip() == text


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_a_model_of_espnet(name, prepared, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "token_list", lambda *_: ["<blank>", "<unk>", "a", "z"])
    training.write_config(ROWS[name], tmp_path, prepared, 1, 100)
    with torch.device("meta"):
        model = build_asr_model(read_train_config(tmp_path / "config.yaml"))
    assert len(model.encoder.encoders) == ROWS[name].changes.get(
        "encoder_conf.num_blocks", 6
    )
    stock = "stock" in name
    assert ("espnet2." in type(model.encoder).__module__) == stock


def test_a_batch_is_padded_to_the_size_that_was_asked_for_and_drawn_again(prepared):
    corpus = data.load(prepared / "train.pt")
    drawn = training._batches(corpus, 1200, 60, 7, 0)
    batches = [next(drawn) for _ in range(30)]
    for batch in batches:
        utterances, frames, _ = batch["speech"].shape
        assert utterances * frames <= 1200 or utterances == 1
        assert batch["speech_lengths"].max() == frames
    later = training._batches(corpus, 1200, 60, 7, 10)
    for want, got in zip(batches[10:], later):
        torch.testing.assert_close(got["speech"], want["speech"])
        assert got["text"].equal(want["text"])


def trained(row, folder, prepared, steps=6, deadline=float("inf"), matrix_rate=2e-3):
    """Train a row; returns its weights, or None while it is not finished."""
    done = training.train(
        row,
        folder,
        prepared,
        1,
        steps,
        1e-3,
        matrix_rate,
        1500,
        "cpu",
        deadline=deadline,
    )
    if not done:
        return None
    return torch.load(folder / training.WEIGHTS, weights_only=True)


def test_stopped_training_ends_as_if_never_stopped(
    prepared, tiny, tmp_path, monkeypatch
):
    whole = trained(tiny, tmp_path / "whole", prepared)
    with monkeypatch.context() as patch:
        clock = iter([0.0] * 4 + [9e9] * 9)  # late after some steps
        patch.setattr(training.time, "time", lambda: next(clock))
        assert trained(tiny, tmp_path / "parts", prepared, deadline=1e9) is None
    saved = torch.load(tmp_path / "parts" / training.RESUME, weights_only=True)
    assert 0 < saved["step"] < 6
    resumed = trained(tiny, tmp_path / "parts", prepared)
    assert resumed.keys() == whole.keys()
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight)


def test_a_row_goes_on_from_its_trunk(prepared, tiny, tmp_path):
    trained(tiny, tmp_path / "trunk.1", prepared, 10)
    branch = replace(tiny, trunk="trunk")
    same = trained(branch, tmp_path / "same.1", prepared, 10)
    for name, weight in trained(tiny, tmp_path / "trunk.1", prepared, 10).items():
        torch.testing.assert_close(same[name], weight)
    changes = {"model_conf.kd_weight": 1.0}
    other = trained(
        replace(branch, changes=changes), tmp_path / "other.1", prepared, 10
    )
    last = "encoder.encoders.3.feed_forward.w_1.weight"
    assert not other[last].equal(same[last])


def test_a_row_begins_with_the_encoder_of_another(prepared, tiny, tmp_path):
    first = trained(tiny, tmp_path / "start.1", prepared)
    config = read_train_config(tmp_path / "start.1/config.yaml")
    config.encoder_conf["num_blocks"] = 5
    model = build_asr_model(config)
    training._begin_with(model, tmp_path / "start.1" / training.WEIGHTS)
    own = model.state_dict()
    for name, weight in first.items():
        if name.startswith("encoder."):
            assert own[name].equal(weight), name
    assert not own["ctc.ctc_lo.weight"].equal(first["ctc.ctc_lo.weight"])


def test_each_batch_draws_gate_options(prepared, tiny, tmp_path, monkeypatch):
    seen = []
    set_gate = BlankSkipConformerEncoder.set_gate

    def watched(encoder, **options):
        set_gate(encoder, **options)
        seen.append(encoder.blank_threshold)

    monkeypatch.setattr(BlankSkipConformerEncoder, "set_gate", watched)
    drawn = (dict(blank_threshold=0.6), dict(blank_threshold=0.8))
    trained(replace(tiny, drawn=drawn), tmp_path, prepared, steps=12)
    assert len(seen) == 12 and set(seen) == {0.6, 0.8}


@pytest.mark.parametrize(
    "other, match",
    [(dict(steps=5), "steps 10 so far"), (dict(matrix_rate=0.0), "matrix_rate 0.002")],
)
def test_a_training_goes_on_with_the_same_settings(
    other, match, prepared, tiny, tmp_path
):
    trained(tiny, tmp_path / "trunk.1", prepared, 10)
    branch = replace(tiny, trunk="trunk")
    with pytest.raises(ValueError, match=f"trunk.1 was trained with {match}"):
        trained(branch, tmp_path / "branch.1", prepared, **{"steps": 10, **other})
    assert trained(branch, tmp_path / "branch.1", prepared, 10)


@pytest.mark.parametrize("matrix_rate", [0.0, 2e-3])
def test_muon_updates_the_matrices_of_the_layers_alone(
    matrix_rate, prepared, tiny, tmp_path
):
    training.write_config(tiny, tmp_path, prepared, 1, 100)
    model = build_asr_model(read_train_config(tmp_path / "config.yaml"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        kind: {
            names[id(parameter)]
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        for kind, optimizer in training._optimizers(model, 1e-3, matrix_rate).items()
    }
    assert sorted(sum(map(list, found.values()), [])) == sorted(names.values())
    by_muon = found.get("muon", set())
    assert bool(by_muon) == bool(matrix_rate)
    linear = {
        f"encoder.{name}.weight"
        for name, module in model.encoder.named_modules()
        if name.startswith("encoders.") and isinstance(module, torch.nn.Linear)
    }
    assert by_muon == (linear if matrix_rate else set())


@pytest.mark.parametrize("what", ["weights", "readings"])
def test_what_is_killed_while_it_is_written_is_not_there(
    what, prepared, tiny, tmp_path, monkeypatch
):
    def half_a_file(*args, **_):
        next(x for x in args if isinstance(x, Path)).write_bytes(b"{")
        raise KeyboardInterrupt

    if what == "weights":
        monkeypatch.setattr(training.torch, "save", half_a_file)
        with pytest.raises(KeyboardInterrupt):
            trained(tiny, tmp_path, prepared, 1)
    else:
        monkeypatch.setattr(Path, "write_text", half_a_file)
        with pytest.raises(KeyboardInterrupt):
            readings.write({"dev": []}, tmp_path / "readings.json")
    for name in (training.WEIGHTS, "readings.json"):
        assert not (tmp_path / name).exists()


def test_without_its_trunk_a_row_says_what_to_train_first(prepared, tiny, tmp_path):
    branch = replace(tiny, trunk="trunk")
    with pytest.raises(FileNotFoundError, match="trunk.1 is to be trained first"):
        trained(branch, tmp_path / "branch.1", prepared)


def test_a_trained_row_is_read_in_every_way(prepared, tiny, tmp_path):
    trained(tiny, tmp_path, prepared)
    found = readings.read_all(tmp_path, prepared, "cpu")
    again = readings.load(tmp_path / "readings.json")
    assert again == found
    ways = {reading.way for reading in found["test"]}
    assert ways == {"dense", "layer 3", "skipping"}
    swept = [r for r in found["dev"] if r.way == "skipping"]
    assert len(swept) == 4 * len(readings.THRESHOLDS) + 4
    for budget in readings.BUDGETS:
        best = readings.chosen(swept, [3], budget)
        assert best is None or best.gate in [r.gate for r in found["test"]]
    for reading in found["test"]:
        words = [len(t.split()) for t in data.load(prepared / "test.pt").texts]
        assert reading.words == words and len(reading.errors) == len(words)


def options_of(row):
    """Its options by dotted names, but for those that begin after branching."""
    late = ("train_skip", "attn_context", "conv_context", "spike_extension")
    late += ("kd_weight", "kd_frames")
    return {
        f"{section}.{name}": value
        for section, options in configuration(row).items()
        for name, value in dict(
            options if isinstance(options, dict) else {"": options}
        ).items()
        if name not in late
    }


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.trunk])
def test_a_row_and_its_trunk_share_all_that_the_first_steps_depend_on(name):
    row, trunk = ROWS[name], ROWS[ROWS[name].trunk]
    assert not trunk.trunk
    assert options_of(row) == options_of(trunk)
    # without gates batches are not counted
    assert options_of(trunk)["encoder_conf.gate_layers"]
    for shared in ("corpus", "vocabulary", "length"):
        assert getattr(row, shared) == getattr(trunk, shared)


def test_configuration_leaves_the_base_as_it_is():
    before = json.dumps(BASE, sort_keys=True)
    for row in ROWS.values():
        configuration(row)
    assert json.dumps(BASE, sort_keys=True) == before
