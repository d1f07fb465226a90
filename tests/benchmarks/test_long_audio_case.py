"""The long-audio benchmark prints nothing for a file that is heard differently."""

import numpy as np
import pytest
import soundfile
from tiny_experiment import write_experiment

from benchmarks import long_audio

RATE = 8000


@pytest.fixture
def options(tmp_path):
    write_experiment(tmp_path / "exp")
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    options = ["--wav-scp", str(tmp_path / "wav.scp"), "--minutes", "0.1", "1"]
    return [*options, "--model", str(tmp_path / "exp")]


def test_the_benchmark_measures_what_it_has_compared(options, capsys, monkeypatch):
    monkeypatch.setattr(
        long_audio, "measure", lambda *_: dict(rtf=0.5, peak=2**30, grown=0, words=1)
    )
    assert long_audio.main(options) == 0
    assert "| 1 min | 0.5000 | 1.00x | 1024 |" in capsys.readouterr().out
    monkeypatch.setattr(long_audio, "same_from_file_and_memory", lambda *_: False)
    assert long_audio.main(options) == 1
    assert "RTF" not in capsys.readouterr().out
