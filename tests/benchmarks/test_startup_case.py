"""The start-up benchmark times nothing that hears something else."""

import numpy as np
import pytest
import soundfile

from benchmarks import startup


@pytest.mark.parametrize("theirs, status", [("a\tone", 0), ("text\ttwo", 1)])
def test_times_are_printed_for_equal_transcripts_only(
    theirs, status, capsys, monkeypatch, tmp_path
):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    options = ["--model", str(tmp_path), "--wav-scp", str(tmp_path / "wav.scp")]

    def transcript(command):
        return theirs if startup.BY_TASK in command else "a\tone"

    timed = []
    monkeypatch.setattr(startup, "last_line", transcript)
    monkeypatch.setattr(
        startup, "time_process", lambda command: timed.append(command) or (2.0, 1.0)
    )
    assert startup.main([*options, "--runs", "3"]) == status
    printed = capsys.readouterr().out
    assert ("first transcript" in printed) == (status == 0)
    assert len(timed) == (9 if status == 0 else 0)


def test_a_process_is_timed_up_to_its_first_line():
    code = "import time; print('hello'); print('a\\tone', flush=True); time.sleep(0.5)"
    seconds, cpu = startup.time_process([startup.sys.executable, "-c", code])
    assert 0 < cpu and 0 < seconds
    assert startup.last_line([startup.sys.executable, "-c", code]) == "a\tone"
