"""``blankskip transcribe`` runs checkpoints and exported models alike."""

import pytest
from speaking_experiment import (
    SPEECH,
    needs_speech,
    write_speaking_experiment,
)

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

from espnet_blankskip.bin.blankskip import main  # noqa: E402

pytestmark = needs_speech


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A checkpoint, and what was exported of it."""
    from espnet_blankskip.export.package import export_checkpoint

    folder = tmp_path_factory.mktemp("models")
    checkpoint = write_speaking_experiment(folder / "exp", factorized=True)
    export_checkpoint(str(checkpoint), folder / "out", int8=True)
    return str(checkpoint), str(folder / "out")


def transcripts(capsys, model, *options):
    """What is written for real speech."""
    paths = map(str, SPEECH)
    assert main(["transcribe", *paths, "--model", model, *options]) == 0
    return capsys.readouterr().out


def test_every_engine_writes_the_same(models, capsys):
    checkpoint, exported = models
    want = transcripts(capsys, checkpoint, "--threshold", "0.7")
    assert want.count("\n") == len(SPEECH)
    for options in ([], ["--engine", "openvino"], ["--jobs", "2"]):
        if "openvino" in options:
            pytest.importorskip("openvino")
        got = transcripts(capsys, exported, "--threshold", "0.7", *options)
        assert sorted(got.splitlines()) == sorted(want.splitlines())
    transcripts(capsys, exported, "--precision", "int8")


@pytest.mark.parametrize(
    "of, options, word",
    [
        ("exported", ["--engine", "torch"], "which was exported"),
        ("checkpoint", ["--engine", "onnxruntime"], "is no such folder"),
        ("checkpoint", ["--precision", "int8"], "--precision int8 must be one of"),
        (
            "exported",
            ["--precision", "float64"],
            "--precision float64 with --engine onnxruntime",
        ),
        ("exported", ["--intermediate"], "--intermediate must be skipping or dense"),
        ("exported", ["--gate-layers", "3"], "export the checkpoint again"),
    ],
)
def test_what_an_engine_cannot_do_gets_one_line(models, of, options, word, capsys):
    model = dict(zip(("checkpoint", "exported"), models))[of]
    command = ["transcribe", str(SPEECH[0]), "--model", model, *options]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1
