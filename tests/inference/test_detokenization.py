"""Text is written as ESPnet's own tokenizer of the model writes it."""

from argparse import Namespace

import pytest
from tiny_experiment import train_config

from espnet_blankskip.inference.detokenization import token_writer
from espnet_blankskip.upstream import asr_task


@pytest.fixture(scope="module")
def bpemodel(tmp_path_factory):
    """A small SentencePiece model."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("bpe")
    text = folder / "text"
    text.write_text("one two three four five six\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "m"), vocab_size=18,
        minloglevel=2,
    )  # fmt: skip
    return str(folder / "m.model")


CASES = {
    "word": (dict(token_type="word"), ["one", "two", "<unk>"]),
    "word, other delimiter": (
        dict(token_type="word", preprocessor_conf=dict(delimiter="/")),
        ["one", "two"],
    ),
    "char": (dict(token_type="char"), ["a", "b", "<space>", "c"]),
    "char, other space": (
        dict(token_type="char", preprocessor_conf=dict(space_symbol="_")),
        ["a", "_", "b", "<space>"],
    ),
    "phn": (dict(token_type="phn", g2p=None), ["AH", "B", "<space>"]),
    "bpe": (
        dict(token_type="bpe"),
        ["\u2581one", "\u2581t", "w", "o", "<unk>", "\u2581"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_text_is_what_espnets_tokenizer_writes(name, bpemodel):
    changes, tokens = CASES[name]
    if changes["token_type"] == "bpe":
        changes = dict(changes, bpemodel=bpemodel)
    config = train_config(
        preprocessor="default", **{"preprocessor_conf": {}, **changes}
    )
    preprocess = asr_task().build_preprocess_fn(Namespace(**config), False)
    write = token_writer(Namespace(**config))
    for listed in (tokens, tokens[:1], []):
        assert write(listed) == preprocess.tokenizer.tokens2text(listed)


@pytest.mark.parametrize(
    "changes", [dict(use_preprocessor=False), dict(token_type=None)]
)
def test_without_a_tokenizer_tokens_stand_apart(changes):
    assert token_writer(Namespace(**train_config(**changes)))(["a", "b"]) == "a b"


def test_another_tokenizer_is_asked_for_from_espnet(monkeypatch):
    class Tokenizer:
        def tokens2text(self, tokens):
            return "+".join(tokens)

    built = Namespace(tokenizer=Tokenizer())
    monkeypatch.setattr(asr_task(), "build_preprocess_fn", lambda args, train: built)
    for changes in (dict(token_type="whisper_en"), dict(preprocessor="multi")):
        write = token_writer(Namespace(**train_config(**changes)))
        assert write(["a", "b"]) == "a+b"


@pytest.mark.parametrize("model", [None, "nowhere.model", "damaged"])
def test_a_bad_sentencepiece_model_is_named(model, tmp_path):
    if model == "damaged":
        (tmp_path / model).write_bytes(b"not a model")
        model = str(tmp_path / model)
    config = train_config(token_type="bpe", bpemodel=model)
    with pytest.raises(ValueError, match="bpemodel"):
        token_writer(Namespace(**config))
