"""ESPnet's joint CTC/attention search runs on a skipping encoder of a hybrid model."""

import pytest
import torch
import yaml
from real_speech import digits
from tiny_experiment import train_config, write_experiment

HYBRID = dict(
    decoder="transformer",
    decoder_conf=dict(attention_heads=2, linear_units=8, num_blocks=1),
    model_conf=dict(ctc_weight=0.3),
)
SEARCH = dict(ctc_weight=0.3, beam_size=4, nbest=2, maxlenratio=0.3)


@pytest.fixture(scope="module")
def speech():
    return digits("1_george_0", "9_george_2", "0_george_3")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("hybrid"), **HYBRID)


@pytest.fixture(scope="module")
def joint_search(files):
    """ESPnet's Speech2Text with those weights and other encoder options."""
    from espnet2.bin.asr_inference import Speech2Text

    config_file, model_file = files

    def build(skipping, **encoder_options):
        config = train_config(skipping=skipping, **HYBRID)
        config["encoder_conf"].update(encoder_options, interctc_layer_idx=[2])
        changed = config_file.with_name("changed.yaml")
        changed.write_text(yaml.safe_dump(config))
        return Speech2Text(changed, model_file, **SEARCH)

    return build


def hypotheses(speech2text, speech):
    nbest, _ = speech2text(speech)  # with what the intermediate CTC says
    return [
        (token_int, float(hyp.score), float(hyp.scores["decoder"]))
        for _, _, token_int, hyp in nbest
    ]


def test_without_skipping_it_finds_what_it_finds_on_the_stock_encoder(
    joint_search, speech
):
    stock = hypotheses(joint_search(skipping=False), speech)
    ours = hypotheses(joint_search(skipping=True, blank_threshold=1.1), speech)
    assert ours == stock and len(ours) == 2


def test_with_skipping_it_searches_the_frames_that_the_encoder_gives(
    joint_search, speech
):
    speech2text = joint_search(skipping=True)
    model, sizes = speech2text.asr_model, []
    deep = model.encoder.encoders[-1].feed_forward
    deep.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].size(1)))
    found = hypotheses(speech2text, speech)

    samples = torch.from_numpy(speech)[None]
    with torch.no_grad():
        (states, _), lens = model.encode(samples, torch.tensor([len(speech)]))
        expected = speech2text.beam_search(states[0], SEARCH["maxlenratio"])[:2]
    assert 0 < sizes[0] < int(lens), "the deep layers must see some frames only"
    assert [score for _, score, _ in found] == [float(h.score) for h in expected]
    assert found != hypotheses(joint_search(skipping=True, blank_threshold=1.1), speech)
