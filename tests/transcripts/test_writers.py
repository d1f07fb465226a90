"""Every format holds every result once, however often it was interrupted."""

import json

import pytest

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.transcripts.records import Outcome
from espnet_blankskip.transcripts.run import Run
from espnet_blankskip.transcripts.writers import FORMATS, open_writer

UTTERANCES = [Utterance(name, f"{name}.wav") for name in ("a", "b", "sub/c")]


def hypothesis(text, score=-1.5):
    token = text.split()
    words = [
        dict(text=word, start=float(i), end=i + 0.5, confidence=0.9)
        for i, word in enumerate(token)
    ]
    return dict(
        text=text, score=score, words=words, token=token, token_int=list(range(3))
    )


def record(utterance, text="one two", *others):
    best = hypothesis(text)
    found = dict(id=utterance.utt_id, path=utterance.path, seconds=2.0, kept=0.2)
    if others:
        found["nbest"] = [best, *(hypothesis(t, -2.0) for t in others)]
    return {**found, **best}


def target(name, tmp_path):
    return str(tmp_path / ("out.txt" if name in ("text", "jsonl") else "out"))


def written(name, output):
    """Ids in the output."""
    from pathlib import Path

    path = Path(output)
    if name == "espnet":
        lines = (path / "results.jsonl").read_text().splitlines()
        return [json.loads(line)["id"] for line in lines]
    if name in ("srt", "vtt"):
        found = path.rglob(f"*.{name}")
        return sorted(str(f.relative_to(path).with_suffix("")) for f in found)
    lines = path.read_text().splitlines()
    if name == "text":
        return [line.split("\t")[0] for line in lines]
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_there_is_continued(name, tmp_path):
    output = target(name, tmp_path)
    first = open_writer(name, output, UTTERANCES)
    assert first.done == set()
    first.write(record(UTTERANCES[0]))
    again = open_writer(name, output, UTTERANCES)
    assert again.done == {"a"}
    for utterance in UTTERANCES[1:]:
        again.write(record(utterance))
    again.close(UTTERANCES, {})
    assert written(name, output) == ["a", "b", "sub/c"]
    assert open_writer(name, output, UTTERANCES).done == {"a", "b", "sub/c"}
    assert open_writer(name, output, UTTERANCES, restart=True).done == set()


def test_espnet_folders_are_in_list_order_and_name_failures(tmp_path):
    writer = open_writer("espnet", str(tmp_path), UTTERANCES)
    writer.write(record(UTTERANCES[2], "three"))
    writer.write(record(UTTERANCES[0], "one two", "won two"))
    writer.close(UTTERANCES, {"b": "audio is empty"})
    best, second = tmp_path / "1best_recog", tmp_path / "2best_recog"
    assert (best / "text").read_text() == "a one two\nb \nsub/c three\n"
    assert (best / "token").read_text() == "a one two\nb \nsub/c three\n"
    assert (best / "token_int").read_text() == "a 0 1 2\nb \nsub/c 0 1 2\n"
    assert (best / "score").read_text() == "a -1.5\nb 0.0\nsub/c -1.5\n"
    assert (best / "failed").read_text() == "b audio is empty\n"
    assert (second / "text").read_text() == "a won two\n"
    assert not list(tmp_path.glob("*.partial"))


def test_no_older_hypothesis_outlives_a_newer_result(tmp_path):
    for others, folders in ((["won", "wan"], 3), ([], 1), (["won"], 2)):
        writer = open_writer("espnet", str(tmp_path), UTTERANCES[:2], restart=True)
        writer.write(record(UTTERANCES[0], "one", *others))
        writer.close(UTTERANCES[:2], {"b": "audio is empty"})
        found = sorted(path.name for path in tmp_path.glob("*best_recog*"))
        assert found == [f"{rank}best_recog" for rank in range(1, folders + 1)]
        for folder in found[1:]:
            assert (tmp_path / folder / "score").read_text() == "a -2.0\n"


#: A good id, and what is wrong with the others, between two good ones.
IDS = {
    "a": "",
    "x" * 250: "",
    "x" * 252: "File name too long",
    "y" * 300 + "/b": "File name too long",
    "a.srt/b": "File exists",
    "b": "",
}


def test_an_id_that_names_no_file_is_its_own_failure(tmp_path):
    utterances = [Utterance(utt_id, f"{utt_id}.wav") for utt_id in IDS]
    for already in (0, 3):  # once more, on what is there
        writer = open_writer("srt", str(tmp_path / "out"), utterances)
        assert len(writer.done) == already
        said = []
        run = Run(writer, len(utterances), said.append)
        run.take(Outcome(utterance, record(utterance)) for utterance in utterances)
        run.finish(utterances)
        wrong = {utt_id: why for utt_id, why in IDS.items() if why}
        assert list(run.failed) == list(wrong)
        for line, (utt_id, why) in zip(said, wrong.items()):
            assert line == f"'{utt_id}': no file of that name: {why}"
    assert len(list((tmp_path / "out").rglob("*.srt"))) == 3


@pytest.mark.parametrize(
    "name, output, words",
    [
        ("espnet", None, "needs --output"),
        ("srt", None, "of several files needs --output DIR"),
        ("vtt", "one.vtt", "is one file: give a folder"),
        ("text", ".", "is a folder"),
        ("jsonl", "text.txt", "holds other lines"),
        ("text", "prose.txt", "holds other lines"),
        ("text", "image.png", "holds other lines"),
    ],
)
def test_unsuitable_output_is_refused_untouched(
    name, output, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a\tone\n")
    (tmp_path / "prose.txt").write_text("A diary.\nMonday\n")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\n\xfe\xfa")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=words):
        open_writer(name, output, UTTERANCES)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("utt_id", ["../evil", "/etc/evil"])
def test_an_id_leads_out_of_no_folder(utt_id, tmp_path):
    with pytest.raises(ValueError, match="no name for a file"):
        open_writer("srt", str(tmp_path / "out"), [Utterance(utt_id, "a.wav")])
