"""A converted checkpoint is the same model, with a gate that was fitted, not drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_checkpoints import write_folder
from tiny_experiment import build_model, train_config

from espnet_blankskip.factorized_ctc import FactorizedCTC
from espnet_blankskip.zoo import CheckpointError
from espnet_blankskip.zoo.comparison import compare, read_posteriors
from espnet_blankskip.zoo.conversion import convert_checkpoint
from espnet_blankskip.zoo.conversion_plan import ConversionOptions
from espnet_blankskip.zoo.head_fit import blank_log_odds
from espnet_blankskip.zoo.model_loading import load_checkpoint
from espnet_blankskip.zoo.sound import made_sound

RATE = 8000


def plain(**encoder_conf):
    """A stock conformer's config."""
    config = train_config(skipping=False)
    config["encoder_conf"] = {**config["encoder_conf"], **encoder_conf}
    return config


def weights(config):
    """Random weights that call half of the frames blank."""
    model = build_model(config)
    head = model.ctc.ctc_lo
    with torch.no_grad():
        head.weight.mul_(0.5)
        for _ in range(5):  # conditioned on posteriors, so not settled at once
            readings = [
                read_posteriors(model, u)["final"] for u in made_sound(RATE, 4, seed=5)
            ]
            head.bias[0] -= blank_log_odds(torch.cat(readings)).median()
    return model.state_dict()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Experiment folders by kind of checkpoint."""
    root = tmp_path_factory.mktemp("sources")
    stats = root / "feats_stats.npz"
    np.savez(stats, count=np.array(9), sum=np.zeros(20), sum_square=np.full(20, 9.0))
    kinds = {
        "plain": plain(),
        "interctc": plain(interctc_layer_idx=[2]),
        "conditioned": plain(interctc_layer_idx=[2], interctc_use_conditioning=True),
        "statistics": dict(
            plain(), normalize="global_mvn", normalize_conf={"stats_file": str(stats)}
        ),
        "factorized": train_config(skipping=True, factorized=True),
    }
    return {
        name: str(write_folder(root / name, config, weights(config)))
        for name, config in kinds.items()
    }


@pytest.fixture(scope="module")
def wav_scp(tmp_path_factory):
    """Eight recordings and a broken one."""
    root = tmp_path_factory.mktemp("wav")
    lines = [f"gone {root}/gone.wav"]
    for i, samples in enumerate(made_sound(RATE, count=8, seconds=2.0, seed=5)):
        soundfile.write(root / f"{i}.wav", samples, RATE)
        lines.append(f"utt{i} {root}/{i}.wav")
    (root / "wav.scp").write_text("\n".join(lines) + "\n")
    return str(root / "wav.scp")


def posteriors(folder, samples):
    return read_posteriors(load_checkpoint(folder)[0], samples)


KINDS = {
    "interctc": (dict(gate_layers=[2]), "ctc", []),
    "conditioned": (dict(gate_layers=[2]), "ctc", []),
    "statistics": (dict(gate_layers=[1]), "own", ["encoder.blank_state"]),
    "factorized": (dict(gate_layers=[2], blank_threshold=0.9), "ctc", []),
    "plain": (dict(gate_layers=[2, 3], gate_head="ctc"), "ctc", []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_dense_pass_is_the_sources(kind, sources, wav_scp, tmp_path):
    options, head, new = KINDS[kind]
    target = str(tmp_path / "converted")
    report = convert_checkpoint(
        sources[kind], target, ConversionOptions(fit_audio=wav_scp, **options)
    )
    samples = made_sound(RATE, count=1, seed=9)[0]
    ours = posteriors(target, samples)["final"]
    theirs = posteriors(sources[kind], samples)["final"]
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert report["gate_head"] == head
    assert set(new) <= set(report["new_weights"])
    assert report["posteriors"]["final"]["argmax_agreement"] == 1.0
    assert json.loads((tmp_path / "converted/conversion.json").read_text()) == report


def test_gate_of_its_own_is_fitted_to_the_final_layers_blanks(
    sources, wav_scp, tmp_path
):
    target = tmp_path / "converted"
    report = convert_checkpoint(
        sources["plain"],
        str(target),
        ConversionOptions(gate_layers=[2], fit_audio=wav_scp, blank_threshold=0.6),
    )
    model = load_checkpoint(str(target))[0]
    assert report["gate_head"] == "own"
    assert any("encoder.gate" in words for words in report["untrained"])
    # the blank state really reads as blank
    blank = model.ctc.log_softmax(model.encoder.blank_state[None, None])[0, 0]
    assert int(blank.argmax()) == 0
    # and the gate agrees with the dense model far more often than the commoner class
    agreed, blanks = [], []
    for samples in made_sound(RATE, count=8, seconds=2.0, seed=5):
        final = read_posteriors(model, samples)["final"]
        speech, lens = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        with torch.no_grad():
            gate = model.encode_frames(speech, lens).blank_logp[0].exp()
        agreed.append(((gate > 0.5) == (final[:, 0].exp() > 0.5)).float())
        blanks.append((final[:, 0].exp() > 0.5).float())
    share = float(torch.cat(blanks).mean())
    assert 0.1 < share < 0.9
    assert float(torch.cat(agreed).mean()) > max(share, 1 - share) + 0.05


@pytest.mark.parametrize("kind", ["interctc", "conditioned"])
def test_factorized_head_says_what_the_plain_one_said(kind, sources, wav_scp, tmp_path):
    target = tmp_path / "converted"
    report = convert_checkpoint(
        sources[kind],
        str(target),
        ConversionOptions(gate_layers=[2], factorized=True, fit_audio=wav_scp),
    )
    moved = report["posteriors"]
    assert report["sound"]["held_out"]
    assert set(moved) == {"final", "layer 2"}
    for reading in moved.values():
        assert reading["argmax_agreement"] > 0.9
        assert reading["mean_kl"] < 0.1
    # far closer than the old row would be if it were just read in the new way
    source = load_checkpoint(sources[kind])[0]
    samples = made_sound(RATE, count=1, seed=9)
    plainly = [read_posteriors(source, u) for u in samples]
    source.ctc = FactorizedCTC.like(source.ctc)
    naive = compare(
        lambda _: plainly[0], lambda u: read_posteriors(source, u), samples, 0.95
    )
    assert moved["final"]["mean_kl"] < 0.2 * naive["final"]["mean_kl"]
    old = source.state_dict()
    new = load_checkpoint(str(target))[0].state_dict()
    changed = [name for name in old if not torch.equal(old[name], new[name])]
    assert changed == ["ctc.ctc_lo.weight", "ctc.ctc_lo.bias"]
    for name in changed:
        assert torch.equal(old[name][1:], new[name][1:])


def test_without_audio_the_report_says_so(sources, tmp_path):
    report = convert_checkpoint(
        sources["interctc"],
        str(tmp_path / "converted"),
        ConversionOptions(gate_layers=[2], factorized=True),
    )
    assert report["sound"]["name"] == "synthetic sound"
    assert report["posteriors"]["final"]["mean_kl"] < 0.1


def test_broken_recordings_are_counted_and_the_rest_is_used(sources, wav_scp, tmp_path):
    report = convert_checkpoint(
        sources["interctc"],
        str(tmp_path / "converted"),
        ConversionOptions(gate_layers=[2], fit_audio=wav_scp),
    )
    sound = report["sound"]
    assert (sound["fit_utterances"], sound["report_utterances"]) == (6, 2)
    assert len(sound["failed"]) == 1
    assert "'gone'" in sound["failed"][0]


def test_assets_go_along_with_paths_fixed(sources, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convert_checkpoint(
        sources["statistics"], "exp/new", ConversionOptions(gate_layers=[2])
    )
    config = yaml.safe_load((tmp_path / "exp/new/config.yaml").read_text())
    assert config["normalize_conf"]["stats_file"] == "exp/new/feats_stats.npz"
    assert (tmp_path / "exp/new/feats_stats.npz").is_file()
    assert config["output_dir"] == "exp/new"
    monkeypatch.chdir("/")
    load_checkpoint(str(tmp_path / "exp/new"))


REFUSED = {
    "gate too deep": (
        "plain",
        dict(gate_layers=[4]),
        r"gate_layers=\[4\] must lie in 1\.\.3",
    ),
    "no gate": ("plain", dict(gate_layers=[]), r"gate_layers=\[\] must lie in"),
    "two untrained gates": (
        "interctc",
        dict(gate_layers=[2, 3]),
        "no intermediate CTC was trained at 3",
    ),
    "two own heads": (
        "plain",
        dict(gate_layers=[1, 2], gate_head="own"),
        "gate_head=own takes one gate",
    ),
    "no audio list": (
        "interctc",
        dict(gate_layers=[2], fit_audio="/nowhere/wav.scp"),
        "--fit-audio",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_do_not_fit_are_named(case, sources, tmp_path):
    kind, options, why = REFUSED[case]
    target = tmp_path / "converted"
    with pytest.raises(CheckpointError, match=why):
        convert_checkpoint(sources[kind], str(target), ConversionOptions(**options))
    assert list(tmp_path.iterdir()) == []


CANNOT_SKIP = {
    "legacy": (dict(encoder_conf={"rel_pos_type": "legacy"}), "rel_pos_type=legacy"),
    "transducer": (
        dict(decoder="transducer", joint_net_conf={}),
        "decoder=transducer",
    ),
    "whisper": (dict(encoder="whisper", encoder_conf={}), "encoder=whisper"),
    "wrong kind": (
        dict(encoder="e_branchformer", encoder_conf={}),
        "wrong encoder kind",
    ),
    "vocabulary": (dict(token_list=["<blank>", "a"]), "token_list has 2 tokens"),
    "newer option": (dict(encoder_conf={"warp": 1}), r"encoder_conf\.warp"),
}


@pytest.mark.parametrize("case", CANNOT_SKIP)
def test_checkpoints_that_cannot_skip_are_refused(case, sources, tmp_path):
    changes, why = CANNOT_SKIP[case]
    config = plain(**changes.get("encoder_conf", {}))
    config.update({k: v for k, v in changes.items() if k != "encoder_conf"})
    state = torch.load(Path(sources["plain"]) / "valid.loss.ave.pth")
    folder = write_folder(tmp_path / "exp", config, state)
    with pytest.raises(CheckpointError, match=why):
        convert_checkpoint(
            str(folder), str(tmp_path / "new"), ConversionOptions(gate_layers=[2])
        )
    assert not (tmp_path / "new").exists()


def test_missing_head_is_refused(sources, tmp_path):
    state = torch.load(Path(sources["plain"]) / "valid.loss.ave.pth")
    state = {k: v for k, v in state.items() if not k.startswith("ctc.")}
    folder = write_folder(tmp_path / "exp", plain(), state)
    with pytest.raises(CheckpointError, match="no CTC head"):
        convert_checkpoint(
            str(folder), str(tmp_path / "new"), ConversionOptions(gate_layers=[2])
        )


def test_existing_folder_is_not_overwritten(sources, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    with pytest.raises(CheckpointError, match="exists already"):
        convert_checkpoint(
            sources["plain"], str(tmp_path / "mine"), ConversionOptions(gate_layers=[2])
        )
