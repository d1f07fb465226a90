"""Reading the frontier's rows again with an n-gram."""

from dataclasses import replace

import pytest
import torch

from benchmarks.frontier import data, ngram, readings, training
from benchmarks.frontier.__main__ import main
from benchmarks.frontier.rows import ROWS
from espnet_blankskip.decoding.decode_config import read_decode_config
from espnet_blankskip.decoding.frame_scores import FrameScores
from espnet_blankskip.decoding.search_options import SearchOptions
from espnet_blankskip.gate_options import GateOptions


def write_arpa(file, words):
    """Write an n-gram to which all words are equally likely."""
    rows = "".join(f"-1\t{word}\t0\n" for word in ("<unk>", "<s>", "</s>", *words))
    head = f"\\data\\\nngram 1={len(words) + 3}\nngram 2=1\n\n\\1-grams:\n"
    text = head + rows + "\n\\2-grams:\n-1\t<s> </s>\n\n\\end\\\n"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_lexicon_spells_the_words_of_the_n_gram(prepared, tiny, tmp_path):
    training.write_config(tiny, tmp_path, prepared, 1, 10)
    config, lexicon = tmp_path / "config.yaml", tmp_path / "lexicon.txt"
    arpa = write_arpa(tmp_path / "arpa", ["YES", "ÉTÉ", "NO"])
    ngram.write_lexicon(config, arpa, lexicon)
    rows = [line.split("\t") for line in lexicon.read_text().splitlines()]
    assert [word for word, _ in rows] == ["YES", "NO"]
    assert all(spelt.replace(" ", "") == f"▁{word}" for word, spelt in rows)
    with pytest.raises(ValueError, match="--arpa .*config.yaml is no n-gram in ARPA"):
        ngram.write_lexicon(config, config, lexicon)


def test_greedy_search_of_the_scores_reads_what_was_read(prepared, tiny, tmp_path):
    training.train(tiny, tmp_path, prepared, 1, 6, 1e-3, 2e-3, 1500, "cpu")
    reader, dev = readings.Reader(tmp_path, "cpu"), data.load(prepared / "dev.pt")
    ((_, encoded, _),) = reader.encode(dev, GateOptions(mode="dense"))
    states, head = encoded.intermediate[0][1], reader.model.ctc.ctc_lo
    head.weight.data.normal_(std=100.0)  # has it say something
    head.bias.data = -head.weight.data @ states.mean((0, 1))
    gate = dict(gate_layers=[3], blank_threshold=0.5, spike_extension=0)
    for options in (dict(mode="dense"), dict(gate, mode="skipping")):
        wanted = reader.read(dev, GateOptions(**options))
        scores = ngram._scores(reader, dev, wanted[0])
        assert all(0.0 < share < 1.0 for share in wanted[0].kept)
        blind = [replace(reading, errors=[]) for reading in wanted]
        assert ngram._search(reader, dev, scores, SearchOptions(), blind) == wanted


def perfect_scores(reader, corpus, like):
    """Scores of frames that say each utterance's tokens, with a blank after each."""
    for n, tokens in enumerate(corpus.tokens[60]):
        labels = torch.tensor([i for token in tokens for i in (token, 0)])
        logits = 20.0 * torch.nn.functional.one_hot(labels, len(reader.tokens))
        frames = torch.arange(len(labels)).numpy()
        log_probs = logits.log_softmax(-1).numpy()
        yield "dense", n, FrameScores(0, log_probs, frames, frames)


def test_an_n_gram_weighs_what_the_dev_set_says(
    prepared, tiny, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("flashlight.lib.text", reason="search with words is an extra")
    monkeypatch.setitem(ROWS, "tiny", replace(tiny, corpus="an4"))
    monkeypatch.setattr(ngram, "_scores", perfect_scores)
    monkeypatch.setattr(ngram, "WORD_SCORES", (-1e3, 0.0, 50.0))
    (tmp_path / "an4").symlink_to(prepared)
    folder = tmp_path / "tiny.1"
    training.train(tiny, folder, prepared, 1, 1, 1e-3, 2e-3, 1500, "cpu")
    said = {name: data.load(prepared / f"{name}.pt").texts for name in ("dev", "test")}
    greedy = readings.Reading("dense", {}, [9], [9], [], [])
    readings.write({name: [greedy] for name in said}, folder / "readings.json")
    words = sorted({w for texts in said.values() for t in texts for w in t.split()})
    arpa = write_arpa(tmp_path / "arpa", words)
    command = ["ngram", "tiny", "--arpa", str(arpa), "--folder", str(tmp_path)]
    assert main(command) == 0
    assert "tiny:1 dense {} [] 0.00 %" in capsys.readouterr().out
    found = readings.load(folder / ngram.READINGS)
    for name, texts in said.items():
        assert [reading.errors for reading in found[name]] == [[0] * len(texts)]
    options = read_decode_config(folder / ngram.OPTIONS)
    assert options["lm_weight"] == 0.25 and "word_score" not in options
