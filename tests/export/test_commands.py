"""``blankskip export`` and ``blankskip verify``, as their users meet them."""

import json
import shutil

import pytest
import yaml
from speaking_experiment import (
    SPEECH,
    needs_speech,
    read_json,
    write_speaking_experiment,
)
from tiny_experiment import ENCODER_CONF, SKIPPING

onnx = pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

from espnet_blankskip.bin.blankskip import main  # noqa: E402
from espnet_blankskip.runtime.manifest import sha256  # noqa: E402

pytestmark = needs_speech


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "exp"
    return write_speaking_experiment(folder, factorized=True)


def sign(folder, name):
    """Hash an altered file anew, as somebody might who knows of the manifest."""
    manifest = read_json(folder / "manifest.json")
    manifest["files"][name] = sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_an_exported_model_is_verified_against_its_checkpoint(
    checkpoint, tmp_path, capsys
):
    out = str(tmp_path / "out")
    options = ["--threshold", "0.7", "--spike-extension", "1", "--with-frontend"]
    assert main(["export", str(checkpoint), "--out", out, *options]) == 0
    assert "model.onnx" in capsys.readouterr().out
    for audio in ([], ["--audio", str(SPEECH[0]), str(SPEECH[1])]):
        assert main(["verify", out, "--against", str(checkpoint), *audio]) == 0
        assert capsys.readouterr().out.startswith("the same: ")


@pytest.mark.parametrize("conditioned", [False, True])
def test_a_stock_checkpoint_gets_a_gate_where_it_is_told(conditioned, tmp_path, capsys):
    stock = dict(
        ENCODER_CONF,
        interctc_layer_idx=[1, 2],
        interctc_use_conditioning=conditioned,
    )
    model_conf = dict(ctc_weight=1.0, interctc_weight=0.3)
    gated = dict(encoder_conf={**stock, **SKIPPING}, model_conf=model_conf)
    checkpoint = write_speaking_experiment(tmp_path / "exp", **gated)
    file = checkpoint.parent / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config.update(encoder="conformer", encoder_conf=stock, model="espnet")
    file.write_text(yaml.safe_dump(config))
    out = str(tmp_path / "out")
    export = ["export", str(checkpoint), "--out", out, "--threshold", "0.6"]
    assert main(export) == 2
    said = capsys.readouterr().err
    assert "no gate unless --gate-layers names a layer with an intermediate" in said
    assert main([*export, "--gate-layers", "2"]) == 0
    assert main(["verify", out, "--against", str(checkpoint)]) == 0
    assert " of them kept" in capsys.readouterr().out
    assert read_json(tmp_path / "out" / "manifest.json")["gate"]["gate_layers"] == [2]


def test_what_differs_is_named_with_a_failing_exit_status(checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(checkpoint), "--out", str(out)]) == 0
    changed = onnx.load(out / "model.onnx")
    for tensor in changed.graph.initializer:
        if tensor.name == "log_threshold":
            lower = onnx.numpy_helper.to_array(tensor) - 0.3
            tensor.CopyFrom(onnx.numpy_helper.from_array(lower, tensor.name))
    norm = next(t for t in changed.graph.initializer if "output/norm.w" in t.name)
    weight = onnx.numpy_helper.to_array(norm) * 1.01
    norm.CopyFrom(onnx.numpy_helper.from_array(weight, norm.name))
    onnx.save(changed, out / "model.onnx")
    sign(out, "model.onnx")
    capsys.readouterr()
    command = ["verify", str(out), "--against", str(checkpoint), "--audio"]
    assert main([*command, str(SPEECH[0])]) == 1
    said = capsys.readouterr().out
    assert said.startswith("different: 61-70968-0000: frame ")
    assert "a log-probability differs by" in said

    other = tmp_path / "other" / "exp"
    shutil.copytree(checkpoint.parent, other)
    with (other / "model.pth").open("ab") as file:
        file.write(b"\0")
    assert main(["verify", str(out), "--against", str(other / "model.pth")]) == 2
    assert "whose weights are not those of" in capsys.readouterr().err


def test_quantization_says_what_it_costs_and_refuses_to_cost_much(
    checkpoint, tmp_path, capsys
):
    out = tmp_path / "out"
    command = ["export", str(checkpoint), "--out", str(out), "--quantize", "int8"]
    assert main(command) == 0
    assert "which is no speech" in capsys.readouterr().out
    assert set(read_json(out / "manifest.json")["files"]) == {
        "model.onnx",
        "model.int8.onnx",
        "tokens.txt",
    }
    # transcripts that float32 gets right, and 8 bits can only lose
    from espnet_blankskip.runtime import ExportedSpeech2Text

    exact, int8 = (ExportedSpeech2Text(out, dtype=d) for d in ("float32", "int8"))
    texts = [exact(path).text for path in SPEECH]
    assert [r.kept_ratio for r in map(int8, SPEECH)] == pytest.approx(
        [r.kept_ratio for r in map(exact, SPEECH)], abs=0.1
    )
    text = tmp_path / "text"
    text.write_text("".join(f"{p.stem} {t}\n" for p, t in zip(SPEECH, texts)))
    shutil.rmtree(out)
    audio = ["--audio", *map(str, SPEECH), "--text", str(text)]
    loses = [int8(path).text for path in SPEECH] != texts
    assert main([*command, *audio]) == int(loses)
    said = capsys.readouterr().out
    assert "WER 0.00 % before" in said and "kept frames" in said
    assert ("only the float32 graph is kept" in said) == loses
    assert (out / "model.int8.onnx").exists() == (not loses)
    shutil.rmtree(out)
    assert main([*command, *audio, "--force"]) == 0
    assert "WER 0.00 % before" in capsys.readouterr().out
    assert (out / "model.int8.onnx").exists()


def test_a_lower_precision_is_verified_by_what_it_recognizes(
    checkpoint, tmp_path, capsys
):
    pytest.importorskip("openvino")
    from espnet_blankskip.runtime import ExportedSpeech2Text

    out, text = tmp_path / "out", tmp_path / "text"
    export = ["export", str(checkpoint), "--out", str(out), "--quantize", "int8"]
    assert main(export) == 0
    audio = ["--audio", *map(str, SPEECH), "--text", str(text)]
    verify = ["verify", str(out), "--against", str(checkpoint), *audio]
    for engine, precision in (("onnxruntime", "int8"), ("openvino", "bfloat16")):
        lower = ExportedSpeech2Text(out, engine=engine, dtype=precision)
        lines = [f"{path.stem} {lower(path).text}\n" for path in SPEECH]
        text.write_text("".join(lines))  # so that it makes no error
        capsys.readouterr()
        assert main([*verify, "--precision", precision]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"{precision}: {len(SPEECH)} utterances")
        assert "% before, 0.00 % after;" in said

    file = out / "model.int8.onnx"
    worse = onnx.load(file)
    norm = next(t for t in worse.graph.initializer if "output/norm.w" in t.name)
    weight = -onnx.numpy_helper.to_array(norm)
    norm.CopyFrom(onnx.numpy_helper.from_array(weight, norm.name))
    onnx.save(worse, file)
    assert main([*verify, "--precision", "int8"]) == 2  # altered
    sign(out, file.name)
    exact = ExportedSpeech2Text(out)
    text.write_text("".join(f"{path.stem} {exact(path).text}\n" for path in SPEECH))
    capsys.readouterr()
    assert main([*verify, "--precision", "int8"]) == 1
    assert "int8 loses more than 0.1 points of WER" in capsys.readouterr().out
    wrong = [*verify, "--precision", "bfloat16", "--engine", "onnxruntime"]
    assert main(wrong) == 2
    assert "--engine openvino has bfloat16" in capsys.readouterr().err


def test_sherpa_onnx_gets_its_lines_and_its_command(checkpoint, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["export", str(checkpoint), "--out", out, "--for", "sherpa-onnx"]) == 0
    said = capsys.readouterr().out
    assert f'from_omnilingual_asr_ctc("{out}/model.onnx"' in said
    assert f"sherpa-onnx-offline --tokens={out}/tokens.txt" in said


@pytest.mark.parametrize(
    "options, word",
    [
        (["--threshold", "0.1"], "--threshold 0.1 must be at least 0.5"),
        (["--gate-layers", "9"], "--gate-layers"),
        (["--audio", "x.wav"], "need --quantize"),
    ],
)
def test_wrong_options_get_one_line(checkpoint, options, word, tmp_path, capsys):
    command = ["export", str(checkpoint), "--out", str(tmp_path / "out"), *options]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1
