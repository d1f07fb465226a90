"""Two calls of run.sh never work at one thing, and a killed one leaves nobody behind.

The commands are stand-ins (``stand_in_espnet.py``); run.sh, its children, the locks and
the killing are real.
"""

import shlex
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from recipe_folder import SETS, make_data, make_recipe, start_run_sh

STAND_IN = shlex.join(
    [sys.executable, str(Path(__file__).with_name("stand_in_espnet.py"))]
)
OPTIONS = ["--train_set", SETS[0], "--valid_set", SETS[1], "--test_sets", SETS[2]]
OPTIONS += ["--fs", "8k", "--nj", "1", "--inference_nj", "1", "--token_type", "char"]
OPTIONS += ["--asr_exp", "exp/asr", "--asr_stats_dir", "exp/stats", "--inference_tag"]
OPTIONS += ["x", "--inference_config", "conf/decode_asr_ctc_greedy.yaml", "--ngpu", "0"]
OPTIONS += ["--asr_args", "--use_tensorboard false", "--python", STAND_IN]
# Makes nothing twice, as whoever makes data folders; waits for a file.
DATA_SH = """
mkdir making
echo $$ > held
python3 -c "import os, time
open('grandchild', 'w').write(f'{os.getpid()}\\n')
while not os.path.exists('go_on'):
    time.sleep(0.05)"
rmdir making
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A recipe folder in which stages 11, 12 and 13 find what they need."""
    folder = make_recipe(tmp_path_factory.mktemp("recipe"))
    make_data(folder)
    tokens = folder / "data/token_list/char/tokens.txt"
    tokens.parent.mkdir(parents=True)
    tokens.write_text("<blank>\n<unk>\no\n<sos/eos>\n")
    (folder / "exp/asr").mkdir(parents=True)
    (folder / "exp/asr/config.yaml").touch()
    done = stages(folder, 3, 4)
    assert done.wait() == 0, done.communicate()
    done = stages(folder, 10, 10)
    assert done.wait() == 0, done.communicate()
    np.savez(folder / "exp/stats/train/feats_stats.npz", count=1)
    done = stages(folder, 11, 12)
    assert done.wait() == 0, done.communicate()
    return folder


@pytest.fixture
def recipe(prepared):
    for name in ("held", "go_on", "calls"):
        (prepared / name).unlink(missing_ok=True)
    return prepared


def stages(folder, first, last, **variables):
    chosen = ["--stage", first, "--stop_stage", last]
    return start_run_sh(folder, *OPTIONS, *chosen, **variables)


def process_in(path):
    """The process whose number a command has written into a file."""
    deadline = time.monotonic() + 60
    while not (path.is_file() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


def has_ended(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.parametrize(
    "stage, what",
    [(11, "exp/asr"), (12, "exp/asr/x/test"), (13, "exp/asr/x/test")],
)
def test_the_second_call_is_told_of_the_first_and_does_nothing(stage, what, recipe):
    first = stages(recipe, stage, stage, HOLD="go_on")
    process_in(recipe / "held")
    calls = (recipe / "calls").read_text()
    second = stages(recipe, stage, stage)
    output, errors = second.communicate()
    assert second.returncode == 1
    assert errors.startswith(
        f"run.sh: error: {what} is in use by run.sh stage {stage} (process {first.pid} "
    )
    assert len(errors.splitlines()) == 1
    assert (recipe / "calls").read_text() == calls
    (recipe / "go_on").touch()
    output, errors = first.communicate()
    assert first.returncode == 0, errors
    assert not list(recipe.rglob(".*.lock"))


@pytest.mark.parametrize("stage", [11, 12, 13])
def test_a_killed_call_takes_its_programs_along_and_gives_way(stage, recipe):
    first = stages(recipe, stage, stage, HOLD="go_on")
    program = process_in(recipe / "held")
    first.kill()
    first.wait()
    second = stages(recipe, stage, stage)
    assert second.wait() == 0, second.communicate()
    assert has_ended(program)


def test_a_killed_stage_1_can_be_called_again_at_once(tmp_path):
    folder = make_recipe(tmp_path)
    make_data(folder)
    (folder / "local/data.sh").write_text(DATA_SH)
    first = stages(folder, 1, 1)
    process_in(folder / "held")
    program = process_in(folder / "grandchild")
    second = stages(folder, 1, 1)
    assert "data is in use by run.sh stage 1 (process" in second.communicate()[1]
    assert second.returncode == 1
    first.kill()
    first.wait()
    (folder / "making").rmdir()
    (folder / "held").unlink()
    third = stages(folder, 1, 1)
    process_in(folder / "held")
    assert has_ended(program)
    (folder / "go_on").touch()
    assert third.wait() == 0, third.communicate()


def test_ctrl_c_ends_a_call_and_its_programs_in_one_line(recipe):
    call = stages(recipe, 12, 12, HOLD="go_on")
    program = process_in(recipe / "held")
    call.send_signal(signal.SIGINT)
    output, errors = call.communicate()
    assert call.returncode == 130
    lines = [line for line in errors.splitlines() if "run.sh: " in line]
    assert lines == ["run.sh: interrupted; the same call goes on from here"]
    assert "Traceback" not in errors
    assert has_ended(program)
