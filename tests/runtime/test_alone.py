"""The runtime works where neither torch nor ESPnet is installed, and starts soon."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from speaking_experiment import (
    SPEECH,
    needs_speech,
    write_speaking_experiment,
)

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="needs espnet_blankskip[runtime]")

ROOT = Path(__file__).resolve().parents[2]
#: What `pip install 'espnet_blankskip[runtime]'` does not bring.
ABSENT = ("torch", "torchaudio", "espnet", "espnet2", "espnet3", "librosa", "onnx")
ALONE = f"""
import importlib.abc, json, sys, time

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
RECOGNIZE = """
begin = time.process_time()
from espnet_blankskip.runtime import ExportedSpeech2Text
speech2text = ExportedSpeech2Text(sys.argv[1], threads=1)
result = speech2text(sys.argv[2])
spent = time.process_time() - begin
print(json.dumps([result.text, result.kept_ratio, spent]))
"""


def run_alone(code, *arguments):
    """Run code in a process without those packages."""
    return subprocess.run(
        [sys.executable, "-c", ALONE + code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )


@needs_speech
def test_an_exported_model_is_recognized_with(tmp_path):
    from espnet_blankskip.export.package import export_checkpoint
    from espnet_blankskip.inference import BlankSkipSpeech2Text

    checkpoint = write_speaking_experiment(tmp_path / "exp", factorized=True)
    export_checkpoint(str(checkpoint), tmp_path / "out", with_frontend=True)
    done = run_alone(RECOGNIZE, tmp_path / "out", SPEECH[0])
    assert done.returncode == 0, done.stderr
    text, kept_ratio, spent = json.loads(done.stdout)
    want = BlankSkipSpeech2Text(None, checkpoint, fast=False)(SPEECH[0])
    assert (text, kept_ratio) == (want.text, want.kept_ratio)
    assert spent < 2.0  # CPU seconds from the import to the transcript


@pytest.mark.parametrize(
    "words, status, said",
    [
        ("export exp --out out", 2, "needs onnx: pip install"),
        ("transcribe x.wav --model exp", 1, "PyTorch is not installed"),
        ("inspect exp", 1, "PyTorch is not installed"),
    ],
)
def test_commands_that_need_espnet_say_so_in_one_line(words, status, said):
    command = """
from espnet_blankskip.bin.blankskip import main
sys.exit(main(sys.argv[1:]))
"""
    done = run_alone(command, *words.split())
    assert done.returncode == status
    assert done.stderr.startswith(f"blankskip {words.split()[0]}: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_missing_engine_says_how_to_get_it(engine, monkeypatch):
    from espnet_blankskip.runtime.engines import check_engine

    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(ValueError, match=f"pip install {engine}"):
        check_engine(engine, "float32")
