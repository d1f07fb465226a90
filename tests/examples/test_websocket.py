"""sherpa-onnx's own websocket server, with our file, says what the recognizer says."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from speaking_experiment import (
    SPEECH,
    needs_speech,
    write_speaking_experiment,
)

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("websockets", reason="needs websockets")

CLIENT = Path(__file__).resolve().parents[2] / "examples" / "websocket_client.py"
SERVER = shutil.which("sherpa-onnx-offline-websocket-server")
pytestmark = [
    needs_speech,
    pytest.mark.skipif(SERVER is None, reason="needs sherpa-onnx-bin"),
]


@pytest.mark.parametrize("file", ["model.onnx", "model.int8.onnx"])
def test_the_server_says_what_the_recognizer_says(file, tmp_path):
    from espnet_blankskip.export.package import export_checkpoint
    from espnet_blankskip.runtime import ExportedSpeech2Text

    checkpoint = write_speaking_experiment(tmp_path / "exp", factorized=True)
    out = tmp_path / "out"
    export_checkpoint(str(checkpoint), out, for_sherpa=True, int8=True)
    dtype = "int8" if "int8" in file else "float32"
    ours = ExportedSpeech2Text(out, dtype=dtype)
    port = free_port()
    command = [SERVER, f"--port={port}", f"--tokens={out / 'tokens.txt'}"]
    command += [f"--omnilingual-asr-model={out / file}"]
    command += [f"--log-file={tmp_path / 'server.log'}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            words = [f"ws://localhost:{port}", *map(str, SPEECH)]
            done = subprocess.run(
                [sys.executable, str(CLIENT), *words], capture_output=True, text=True
            )
        finally:
            server.kill()
    assert done.returncode == 0, done.stderr
    said = dict(line.split("\t") for line in done.stdout.splitlines())
    assert said == {str(path): ours(path).text for path in SPEECH}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def wait_for(port: int, seconds: float = 30.0) -> None:
    """Return as soon as somebody listens on a port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("localhost", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody listens on port {port}")
