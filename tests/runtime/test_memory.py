"""Peak memory of the runtime: half as much again as the model's file, and 100 MiB."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

onnx = pytest.importorskip("onnx", reason="exporting needs espnet_blankskip[export]")
pytest.importorskip("onnxruntime", reason="needs espnet_blankskip[runtime]")

from espnet_blankskip.encoders import BlankSkipConformerEncoder  # noqa: E402
from espnet_blankskip.export.model import build_model  # noqa: E402
from espnet_blankskip.factorized_ctc import FactorizedCTC  # noqa: E402
from espnet_blankskip.runtime.manifest import MODELS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
#: Ten seconds of features by an engine; prints the most KiB the process has had.
RECOGNIZE = r"""
import re, sys
from pathlib import Path
import numpy as np
import espnet_blankskip.runtime
from espnet_blankskip.runtime.engines import open_engine
run = open_engine(Path(sys.argv[1]), "onnxruntime", sys.argv[2], 1)
feats = np.random.default_rng(0).standard_normal((1, 1000, 80)).astype(np.float32)
run(feats, np.array([1000]))
print(*re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Graphs of a model of usual size, whose weights outweigh the rest."""
    folder = tmp_path_factory.mktemp("exported")
    encoder = BlankSkipConformerEncoder(
        80,
        output_size=256,
        attention_heads=4,
        linear_units=1024,
        num_blocks=12,
        macaron_style=True,
        use_cnn_module=True,
        cnn_module_kernel=31,
        rel_pos_type="latest",
        gate_layers=[6],
    ).eval()
    head = FactorizedCTC(500, 256).eval()
    with torch.no_grad():
        for precision, file in MODELS.items():
            int8 = precision == "int8"
            onnx.save(build_model(encoder, head, None, 80, int8=int8), folder / file)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts it")
@pytest.mark.parametrize("precision", MODELS)
def test_peak_memory_is_bounded_by_the_size_of_the_file(precision, folder):
    done = subprocess.run(
        [sys.executable, "-c", RECOGNIZE, str(folder), precision],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )
    size = (folder / MODELS[precision]).stat().st_size
    assert int(done.stdout) / 1024 < 1.5 * size / MIB + 100
