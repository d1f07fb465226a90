"""A list of words becomes a lexicon that the search can read."""

import pytest
import yaml

from espnet_blankskip.decoding import make_lexicon
from espnet_blankskip.decoding.lexicon import read_lexicon

LETTERS = list("abcdehlorstuw")


def write_config(folder, **values):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run(folder, words, **values):
    listed = folder / "words.txt"
    listed.write_text(words, encoding="utf-8")
    config = write_config(folder, **values)
    return make_lexicon.main(["--asr_train_config", str(config), str(listed)])


@pytest.mark.parametrize(
    "token_type, token_list, words, lines",
    [
        ("word", ["one", "two"], "one 17\ntwo 3\none 1\n", ["one\tone", "two\ttwo"]),
        ("char", LETTERS, "cab\n", ["cab\tc a b"]),
        ("char", ["<space>", *LETTERS], "cab\n", ["cab\t<space> c a b"]),
        ("char", ["<space>", "你", "好"], "你好\n", ["你好\t你 好"]),
    ],
)
def test_words_are_spelled_by_token_type(
    tmp_path, capsys, token_type, token_list, words, lines
):
    token_list = ["<blank>", "<unk>", *token_list, "<sos/eos>"]
    assert run(tmp_path, words, token_type=token_type, token_list=token_list) == 0
    written = capsys.readouterr().out
    assert written.splitlines() == lines
    (tmp_path / "lexicon").write_text(written, encoding="utf-8")
    lexicon = read_lexicon(tmp_path / "lexicon", token_list)
    assert lexicon.words == [line.split()[0] for line in lines]


def test_words_are_spelled_in_pieces(tmp_path, capsys):
    sentencepiece = pytest.importorskip("sentencepiece")
    text = tmp_path / "text"
    text.write_text("hello world\nhe held the old word\nwell the world\n" * 20)
    prefix = tmp_path / "bpe"
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(prefix), vocab_size=20, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    values = dict(
        token_type="bpe",
        bpemodel=f"{prefix}.model",
        token_list=[pieces.id_to_piece(i) for i in range(len(pieces))],
    )
    assert run(tmp_path, "hello\nworld\nzebra\n", **values) == 0
    out, err = capsys.readouterr()
    for line, word in zip(out.splitlines(), ["hello", "world"]):
        assert line.split("\t")[0] == word
        spelling = line.split("\t")[1].split()
        assert "".join(spelling) == f"▁{word}" and set(spelling) <= set(
            values["token_list"]
        )
    assert len(out.splitlines()) == 2
    assert err == (
        "make_lexicon: left out 1 of 3 words that the model's tokens cannot spell\n"
    )


@pytest.mark.parametrize(
    "values, status, words",
    [
        (dict(token_type="phn"), 2, "token_type=phn: words can be spelled for"),
        (dict(token_type="bpe", bpemodel="nowhere"), 2, "bpemodel=nowhere cannot be"),
        (dict(token_type="char"), 1, "left out 1 of 1 words"),
        (dict(), 2, "has no token_list and token_type"),
    ],
)
def test_what_cannot_be_spelled_is_one_line(tmp_path, capsys, values, status, words):
    token_list = ["<blank>", "<unk>", "a", "<sos/eos>"]
    assert run(tmp_path, "cab\n", token_list=token_list, **values) == status
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1
