"""The example page transcribes in a real browser what the recognizer transcribes."""

import functools
import http.server
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from speaking_experiment import (
    SPEECH,
    needs_speech,
    write_speaking_experiment,
)

pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="exporting needs espnet_blankskip[export]")

PAGE = Path(__file__).resolve().parents[2] / "examples" / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    needs_speech,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(
        not (PAGE / "node_modules").is_dir(),
        reason="needs npm install in examples/browser",
    ),
]


@pytest.fixture
def site(tmp_path):
    """A folder with the page in it, served; yields the folder and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    shutil.copy(PAGE / "index.html", folder)
    (folder / "node_modules").symlink_to(PAGE / "node_modules")

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {".mjs": "text/javascript", ".wasm": "application/wasm"}

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


def shown(address: str, profile: Path):
    """Status and text that the page ends with."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=600000"]
    command += ["--dump-dom", address]
    page = subprocess.run(command, capture_output=True, text=True, timeout=240).stdout
    found = [re.search(rf'<p id="{i}">([^<]*)</p>', page) for i in ("status", "text")]
    return tuple(match and match.group(1) for match in found)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_is_transcribed_locally(precision, site, tmp_path):
    from espnet_blankskip.export.package import export_checkpoint
    from espnet_blankskip.runtime import ExportedSpeech2Text

    folder, address = site
    checkpoint = write_speaking_experiment(tmp_path / "exp", factorized=True)
    model = folder / "model"
    export_checkpoint(str(checkpoint), model, with_frontend=True, int8=True)
    shutil.copy(SPEECH[0], folder / "speech.flac")
    query = f"audio=speech.flac&precision={precision}"
    status, text = shown(f"{address}?{query}", tmp_path / "profile")
    want = ExportedSpeech2Text(model, dtype=precision)(SPEECH[0])
    assert text == want.text and text
    assert f"{100 * want.kept_ratio:.0f} % of the frames" in status


def test_a_missing_model_is_named(site, tmp_path):
    status, _ = shown(site[1], tmp_path / "profile")
    assert "no model/manifest.json" in status
