"""Training configurations: stock twins differ by the plugin's options, models build."""

from pathlib import Path

import pytest
import yaml

CONF = Path(__file__).resolve().parents[2] / "conf"
TWINS = {
    f"train_asr_{corpus}blankskip_conformer": f"train_asr_{corpus}conformer_interctc"
    for corpus in ("", "librispeech_100_", "aishell_", "small_", "fsdd_")
}
#: There is no stock configuration beside them.
ALONE = [
    f"train_asr_{corpus}_blankskip_conformer"
    for corpus in ("mini_librispeech", "an4", "demo")
]
#: What of these the plugin adds; everything else is ESPnet's.
GATE_OPTIONS = {
    "gate_layers",
    "blank_threshold",
    "spike_extension",
    "train_skip",
    "skip_warmup_steps",
}
MODEL_OPTIONS = {"factorized_ctc", "kd_weight", "kd_warmup_steps"}
#: (layers, width, heads, feed-forward, kernel) of ESPnet's published conformers.
SCALES = {
    "train_asr_blankskip_conformer": (12, 512, 8, 2048, 31),
    "train_asr_librispeech_100_blankskip_conformer": (12, 256, 4, 1024, 31),
    "train_asr_aishell_blankskip_conformer": (12, 256, 4, 2048, 31),
}


def load(name):
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TWINS)
def test_stock_twin_differs_only_in_the_options_of_the_plugin(name):
    config, stock = load(name), load(TWINS[name])
    assert config.pop("encoder") == "blankskip_conformer"
    assert stock.pop("encoder") == "conformer"
    assert config.pop("model") == "blankskip"
    for option in GATE_OPTIONS:
        del config["encoder_conf"][option]
    for option in MODEL_OPTIONS:
        del config["model_conf"][option]
    assert config == stock
    assert list(config) == list(stock)


@pytest.mark.parametrize("name", SCALES)
def test_scales_are_the_published_ones(name):
    conf = load(name)["encoder_conf"]
    keys = ("num_blocks", "output_size", "attention_heads", "linear_units")
    assert (*map(conf.get, keys), conf["cnn_module_kernel"]) == SCALES[name]
    assert conf["gate_layers"] == conf["interctc_layer_idx"] == [6]


@pytest.mark.parametrize("name", [*TWINS, *TWINS.values(), *ALONE])
def test_configuration_builds_its_model(name):
    import torch
    from espnet2.tasks.asr import ASRTask

    import espnet_blankskip  # noqa: F401

    arguments = [f"--config={CONF / name}.yaml", "--token_type=char"]
    args = ASRTask.get_parser().parse_args(arguments)
    args.token_list = ["<blank>", "<unk>", "a", "<sos/eos>"]
    with torch.device("meta"):
        model = ASRTask.build_model(args)
    conf = load(name)["encoder_conf"]
    assert len(model.encoder.encoders) == conf["num_blocks"]
    assert model.encoder.output_size() == conf["output_size"]
    gates = getattr(model.encoder, "gate_layers", [])
    assert list(gates) == conf.get("gate_layers", [])
