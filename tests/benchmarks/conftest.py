"""What tests of the frontier share: a corpus of a few utterances, and a tiny model."""

import pytest
from real_speech import SHARED

from benchmarks.frontier.rows import BASE, Row

TINY = dict(
    output_size=8,
    attention_heads=2,
    linear_units=8,
    num_blocks=4,
    interctc_layer_idx=[3],
    gate_layers=[3],
    train_skip=0.5,
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Features of a few utterances of AN4, packed and unpacked."""
    if not (SHARED / "an4").is_dir():
        pytest.skip(f"no AN4 in {SHARED}")
    from benchmarks.frontier import data
    from benchmarks.frontier.__main__ import main

    folder = tmp_path_factory.mktemp("frontier")
    texts = [line.split(" ", 2) for line in (SHARED / "an4/text").open()]
    files = {file.stem: file for file in (SHARED / "an4/flac").rglob("*-*.*")}
    rows = [(utt, words.strip()) for utt, _, words in texts if utt in files]
    sets = {"train": rows[:40], "dev": rows[40:43], "test": rows[43:46]}
    for name, utterances in sets.items():
        (folder / name).mkdir()
        for list_name, values in (
            ("text", {utt: words for utt, words in utterances}),
            ("wav.scp", {utt: files[utt] for utt, _ in utterances}),
        ):
            lines = [f"{utt} {value}\n" for utt, value in values.items()]
            (folder / name / list_name).write_text("".join(lines))
    tar = folder / "an4.tar"
    assert main(["pack", str(tar), *(f"{n}={folder / n}" for n in sets)]) == 0
    data.prepare(tar, folder / "an4", "train", [60, 80], "cpu")
    return folder / "an4"


@pytest.fixture
def tiny(monkeypatch):
    """A row small enough to train here; what a teacher is worth is not remembered."""
    monkeypatch.setitem(BASE, "encoder_conf", {**BASE["encoder_conf"], **TINY})
    return Row("tiny", vocabulary=60)
