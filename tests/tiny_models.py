"""Small `blankskip` models that take features, and batches to train them on."""

import torch
from tiny_encoders import FEATS, OPTIONS, VOCAB, WIDTH, skip_share

from espnet_blankskip.encoders import BlankSkipConformerEncoder
from espnet_blankskip.model import BlankSkipASRModel
from espnet_blankskip.upstream import CTC

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "<sos/eos>"]
assert len(TOKENS) == VOCAB


def make_model(
    model_class=BlankSkipASRModel,
    decoder=None,
    ctc_conf=None,
    encoder=None,
    split_gate=True,
    specaug=None,
    **options,
):
    """A model in training mode around an encoder whose gate lets half the frames go.

    Args:
        model_class: class of the model.
        decoder: attention decoder, or None.
        ctc_conf: options of the CTC head.
        encoder: options of the encoder.
        specaug: what masks its features in training, or None.
        split_gate: move the CTC's blank bias so that half the frames leave.
        **options: options of the model.
    """
    torch.manual_seed(0)
    encoder_conf = {**OPTIONS, "gate_layers": [2], "spike_extension": 0}
    encoder_conf.update(encoder or {})
    model = model_class(
        vocab_size=VOCAB,
        token_list=TOKENS,
        frontend=None,
        specaug=specaug,
        normalize=None,
        preencoder=None,
        encoder=BlankSkipConformerEncoder(**encoder_conf),
        postencoder=None,
        decoder=decoder,
        ctc=CTC(VOCAB, WIDTH, **(ctc_conf or {})),
        joint_network=None,
        **{"ctc_weight": 1.0, "interctc_weight": 0.3, **options},
    )
    model.eval()
    if model.encoder.gate_layers and split_gate:
        batch = make_batch()
        with torch.no_grad():
            model.ctc.ctc_lo.weight.mul_(4.0)
        skip_share(
            model.encoder, batch["speech"], batch["speech_lengths"], model.ctc, 0.5
        )
    return model.train()


def make_batch(frames=(120, 80), labels=(4, 2), seed=1):
    """Speech as features, text, and their lengths, by ESPnet's names."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.full((len(labels), max(labels)), -1)
    for row, length in zip(text, labels):
        row[:length] = torch.randint(2, 5, (length,), generator=generator)
    return dict(
        speech=torch.randn(len(frames), max(frames), FEATS, generator=generator),
        speech_lengths=torch.tensor(frames),
        text=text,
        text_lengths=torch.tensor(labels),
    )
