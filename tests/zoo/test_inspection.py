"""`inspect` tells what can be skipped, and names what cannot be, without building."""

import json
import subprocess
import sys

import pytest
from tiny_checkpoints import (
    E_BRANCHFORMER_CONF,
    light_state,
    stock_config,
    write_folder,
    write_zip,
)

from espnet_blankskip.zoo.inspection import (
    DENSE_ONLY,
    SKIP_NOW,
    TRAIN_GATE,
    describe,
    inspect_checkpoint,
)


@pytest.fixture(scope="module")
def state():
    return light_state()


@pytest.fixture
def look(tmp_path, state):
    """Write a checkpoint with this config and inspect it."""

    def look(config, weights=None, **options):
        folder = write_folder(tmp_path / "exp", config, weights or state)
        return inspect_checkpoint(str(folder), **options)

    return look


def test_intermediate_ctc_can_gate_at_once(look):
    found = look(stock_config(encoder_conf={"interctc_layer_idx": [2, 3]}))
    assert found.verdict == SKIP_NOW
    assert (found.gates, found.trainable_gates) == ([2, 3], [1])
    assert (found.layers, found.width, found.vocabulary) == (4, 16, 7)
    assert found.ctc_head == "plain"
    assert found.problems == []


def test_without_one_a_gate_has_to_be_trained(look):
    found = look(stock_config())
    assert found.verdict == TRAIN_GATE
    assert found.trainable_gates == [1, 2, 3]


def test_blankskip_config_says_its_gates(look):
    config = stock_config(
        encoder="blankskip_conformer",
        encoder_conf={"gate_layers": [2]},
        model="blankskip",
        model_conf={"ctc_weight": 1.0, "factorized_ctc": True},
    )
    found = look(config)
    assert (found.verdict, found.gate_layers) == (SKIP_NOW, [2])
    assert found.ctc_head == "factorized"


def without_head(state):
    return {k: v for k, v in state.items() if not k.startswith("ctc.")}


DENSE = {
    "legacy by name": (stock_config(encoder_conf={"rel_pos_type": "legacy"}), "legacy"),
    "whisper encoder": (stock_config(encoder="whisper"), "encoder=whisper"),
    "whisper frontend": (stock_config(frontend="whisper"), "frontend=whisper"),
    "transducer": (
        stock_config(decoder="transducer", joint_net_conf={}),
        "decoder=transducer",
    ),
    "recurrent": (stock_config(encoder="rnn", encoder_conf={}), "encoder=rnn"),
    "untrained head": (stock_config(model_conf={"ctc_weight": 0}), "ctc_weight=0"),
    "convolutional feed-forward": (
        stock_config(encoder_conf={"positionwise_layer_type": "conv1d"}),
        "positionwise_layer_type=conv1d",
    ),
    "ctc_trim": (stock_config(encoder_conf={"ctc_trim": True}), "ctc_trim=true"),
    "mask CTC": (stock_config(model="maskctc"), "model=maskctc"),
    "postencoder": (stock_config(postencoder="length_adaptor"), "postencoder"),
}


@pytest.mark.parametrize("case", DENSE)
def test_what_can_only_run_dense_says_why(case, look):
    config, why = DENSE[case]
    found = look(config)
    assert found.verdict == DENSE_ONLY
    assert (found.gates, found.trainable_gates, found.speed_up) == ([], [], [])
    assert any(why in reason for reason in found.reasons)
    assert why in describe(found)


def test_legacy_positions_are_the_default_where_the_config_is_silent(look):
    config = stock_config()
    del config["encoder_conf"]["rel_pos_type"]
    found = look(config)
    assert found.verdict == DENSE_ONLY
    assert "rel_pos_type=legacy" in found.reasons[0]


def test_absolute_positions_do_not_mind_the_legacy_default(look):
    config = stock_config(
        encoder_conf={
            "pos_enc_layer_type": "abs_pos",
            "selfattention_layer_type": "selfattn",
        }
    )
    del config["encoder_conf"]["rel_pos_type"]
    assert look(config).verdict == TRAIN_GATE


def test_no_ctc_head_is_dense_only(look, state):
    found = look(stock_config(), without_head(state))
    assert found.verdict == DENSE_ONLY
    assert "no CTC head" in found.reasons[0]
    assert found.ctc_head is None


PROBLEMS = {
    "vocabulary": (
        stock_config(token_list=["<blank>", "a", "<sos/eos>"]),
        "token_list has 3 tokens but the CTC head in valid.loss.ave.pth has 7",
    ),
    "layers": (stock_config(encoder_conf={"num_blocks": 6}), "num_blocks=6"),
    "kind": (
        stock_config(encoder="e_branchformer", encoder_conf={}),
        "weights are those of a conformer",
    ),
    "width": (stock_config(encoder_conf={"output_size": 32}), "output_size=32"),
    "newer encoder option": (
        stock_config(encoder_conf={"warp_drive": 9}),
        "encoder_conf.warp_drive",
    ),
    "newer model option": (
        stock_config(model_conf={"ctc_weight": 1.0, "aux_tts": 1}),
        "model_conf.aux_tts",
    ),
    "missing tokenizer": (
        stock_config(token_type="bpe", bpemodel="data/bpe.model"),
        "bpemodel=data/bpe.model: no such file",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_would_stop_loading_is_named(case, look):
    config, why = PROBLEMS[case]
    found = look(config)
    assert any(why in problem for problem in found.problems)


def test_e_branchformer_is_told_from_conformer(look):
    weights = light_state("e_branchformer", E_BRANCHFORMER_CONF)
    config = stock_config(encoder="e_branchformer")
    config["encoder_conf"] = dict(E_BRANCHFORMER_CONF, interctc_layer_idx=[2])
    found = look(config, weights)
    assert (found.problems, found.gates) == ([], [2])
    config["encoder"] = "conformer"
    assert any("those of a e_branchformer" in p for p in look(config, weights).problems)


@pytest.mark.parametrize("kept", [0.0, -0.1, 1.5])
def test_kept_ratio_out_of_range_names_the_option(kept, look):
    with pytest.raises(ValueError, match=r"--kept"):
        look(stock_config(), kept_ratios=[kept])


def test_estimate_is_called_an_estimate(look):
    text = describe(look(stock_config(encoder_conf={"interctc_layer_idx": [2]})))
    assert "estimate" in text
    assert "not a measurement" in text


def test_an_untrained_checkpoint_is_told_what_costs_it_least(tmp_path, state):
    """Attention over all frames and a wider extension, in a command to be pasted."""
    config = stock_config(encoder_conf={"interctc_layer_idx": [2]})
    folder = write_folder(tmp_path / "my exp", config, state)
    found = inspect_checkpoint(str(folder))
    command = (
        f"blankskip convert '{folder}' DST --gate-layers 2 --attn-context all "
        "--spike-extension 2"
    )
    assert found.untrained and command in describe(found)

    config = dict(config, encoder="blankskip_conformer")
    config["encoder_conf"] = dict(config["encoder_conf"], gate_layers=[2])
    folder = write_folder(tmp_path / "trained", config, state)
    found = inspect_checkpoint(str(folder))
    assert not found.untrained and "--attn-context" not in describe(found)
    weights = next(folder.rglob(found.model_file))
    weights.with_name("conversion.json").write_text("{}")
    found = inspect_checkpoint(str(folder))
    assert found.untrained and "--attn-context all" in describe(found)


def test_inspecting_never_imports_the_asr_task(tmp_path, state):
    """Its import takes ten seconds; and stdout is JSON and nothing else."""
    folder = write_folder(tmp_path / "exp", stock_config(), state)
    code = (
        "import sys; from espnet_blankskip.bin.blankskip import main;"
        f"status = main(['inspect', {str(folder)!r}, '--json']);"
        "sys.exit(7 if 'espnet2.tasks.asr' in sys.modules else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == TRAIN_GATE


@pytest.mark.parametrize(
    "model, verdict", [("espnet_ctc", SKIP_NOW), ("espnet", DENSE_ONLY)]
)
def test_of_the_s2t_task_owsm_ctc_can_skip(tmp_path, model, verdict):
    conf = dict(E_BRANCHFORMER_CONF, use_cross_attention=False, interctc_layer_idx=[2])
    weights = light_state("e_branchformer_ctc", conf)
    config = stock_config(encoder="e_branchformer_ctc", model=model, model_conf={})
    config["encoder_conf"] = conf
    folder = write_folder(tmp_path / "exp", config, weights)
    meta = {
        "yaml_files": {"s2t_train_config": "exp/config.yaml"},
        "files": {"s2t_model_file": "exp/valid.loss.ave.pth"},
    }
    found = inspect_checkpoint(str(write_zip(tmp_path / "m.zip", folder, meta)))
    assert (found.task, found.layers, found.interctc_layers) == ("s2t", 4, [2])
    assert (found.verdict, found.problems) == (verdict, [])
    assert not found.reasons or "only OWSM-CTC" in found.reasons[0]
