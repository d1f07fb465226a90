"""Registration, and the wrapper that runs ESPnet commands: all as real processes."""

import ast
import subprocess
import sys

import pytest

WRAPPER = [sys.executable, "-m", "espnet_blankskip"]


def run(*command, cwd=None):
    """Run a command; its exit code, output and errors."""
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_import_is_light():
    code, out, err = run(
        sys.executable,
        "-c",
        "import sys, espnet_blankskip;"
        "print([m for m in ('torch', 'espnet2', 'espnet') if m in sys.modules])",
    )
    assert (code, out.strip()) == (0, "[]"), err


# What ESPnet's multi-GPU training does: a spawned child builds models by name. The
# import of ESPnet's task takes ten seconds, so one child finds out everything.
SPAWNING_MODULE = """
import contextlib, importlib, importlib.util, io, multiprocessing, sys

def hooks():
    return sum("_AfterImport" in type(f).__name__ for f in sys.meta_path)

def child(queue):
    found = {"hooks before": hooks()}

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        spec = importlib.util.find_spec("espnet2.tasks.asr")
        found["found, not imported"] = spec is not None
        sys.modules["espnet2.tasks.abs_task"] = None  # something is missing at first
        try:
            import espnet2.tasks.asr
        except ImportError:
            del sys.modules["espnet2.tasks.abs_task"]
            found["first import"] = "failed"

        import espnet2.tasks.asr as task
    found["said"] = out.getvalue()
    encoders, models = task.encoder_choices.classes, task.model_choices.classes
    found["known to a spawned child"] = "blankskip_conformer" in encoders
    found["model known"] = "blankskip" in models
    found["hooks after"] = hooks()

    import espnet_blankskip
    before = dict(encoders), dict(models)
    espnet_blankskip.register()
    espnet_blankskip.register()
    found["repeated: same names"] = before == (encoders, models)
    found["repeated: hooks"] = hooks()

    encoders.pop("blankskip_conformer", None)
    espnet_blankskip.register()
    found["late registration"] = "blankskip_conformer" in encoders

    options = ["--encoder", "blankskip_conformer", "--model", "blankskip"]
    args = task.ASRTask.get_parser().parse_args(options)
    found["accepted as options"] = args.encoder == "blankskip_conformer"

    importlib.reload(task)
    found["known after a reload"] = (
        "blankskip_conformer" in task.encoder_choices.classes
        and "blankskip" in task.model_choices.classes
    )
    queue.put(found)

def main():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    found = queue.get(timeout=250)
    process.join()
    print("FOUND", dict(found, arguments=sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a module run by the wrapper and its spawned child found."""
    folder = tmp_path_factory.mktemp("spawning")
    (folder / "spawning.py").write_text(SPAWNING_MODULE)
    code, out, err = run(*WRAPPER, "-m", "spawning", "--ngpu", "2", cwd=folder)
    assert code == 0, err
    return ast.literal_eval(out.split("FOUND")[1].strip())


@pytest.mark.parametrize(
    "what, want",
    [
        ("arguments", ["--ngpu", "2"]),
        ("hooks before", 1),
        ("known to a spawned child", True),
        ("model known", True),
        ("found, not imported", True),
        ("first import", "failed"),
        ("said", ""),
        ("hooks after", 1),
        ("repeated: same names", True),
        ("repeated: hooks", 1),
        ("known after a reload", True),
        ("late registration", True),
        ("accepted as options", True),
    ],
)
def test_names_are_known_in_spawned_children_whenever_registered(found, what, want):
    assert found[what] == want


def test_registering_twice_before_espnet_is_imported_waits_once():
    code, out, err = run(
        sys.executable,
        "-c",
        "import sys, espnet_blankskip as plugin; before = len(sys.meta_path);"
        "plugin.register(); plugin.register(); print(len(sys.meta_path) - before)",
    )
    assert (code, out.strip()) == (0, "0"), err


SCRIPT = """
import sys
import neighbour
import espnet_blankskip.registry
if __name__ == "__main__":
    hooked = any("_AfterImport" in type(f).__name__ for f in sys.meta_path)
    print(neighbour.NAME, hooked, sys.argv)
    sys.exit(5)
"""


def test_script_runs_as_python_would_run_it(tmp_path):
    (tmp_path / "tool.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("NAME = 'neighbour'")
    script = str(tmp_path / "tool.py")
    code, out, err = run(*WRAPPER, script, "a", "--b")
    assert code == 5, err
    assert out.strip() == f"neighbour True {[script, 'a', '--b']}"


def test_code_runs_as_python_would_run_it():
    code, out, err = run(
        *WRAPPER, "-c", "import sys; print(__name__, sys.argv); sys.exit(3)", "x"
    )
    assert (code, out.strip()) == (3, "__main__ ['-c', 'x']"), err


def test_module_without_a_main_function_still_runs(tmp_path):
    (tmp_path / "plain.py").write_text("print('ran as', __name__)")
    code, out, err = run(*WRAPPER, "-m", "plain", cwd=tmp_path)
    assert code == 0 and out.strip().endswith("ran as __main__"), err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["-m", "espnet_blankskip.nothing"],
            "no module named espnet_blankskip.nothing",
        ),
        (["-m", "nowhere"], "no module named nowhere"),
        (["-m", "nowhere.at.all"], "no module named nowhere.at.all"),
        (["-m", ".relative"], "no module named .relative"),
        (["missing/script.py"], "no such script: missing/script.py"),
        (["-m"], "-m needs an argument"),
        (["-c"], "-c needs an argument"),
    ],
)
def test_wrong_command_line_is_one_clear_line(arguments, message):
    code, out, err = run(*WRAPPER, *arguments)
    assert (code, out) == (2, "")
    assert err.strip().splitlines() == [f"espnet_blankskip: {message}"]


def test_help_and_no_arguments_show_the_usage():
    code, out, _ = run(*WRAPPER, "--help")
    assert code == 0 and out.startswith("usage: python -m espnet_blankskip")
    code, out, err = run(*WRAPPER)
    assert (code, out) == (2, "") and err.startswith("usage:")


NOISY_MODULE = """
import logging, sys
print("Failed to import Flash Attention, using ESPnet default: none")
print("[nltk_data] Error loading cmudict", file=sys.stderr)
print("[nltk_data] Downloading package cmudict")
print("something else")
print("and to stderr", file=sys.stderr)
"""


def test_what_a_talkative_module_says_is_noise_or_reaches_the_terminal(tmp_path):
    folder = tmp_path / "g2p_en"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "g2p.py").write_text(NOISY_MODULE)
    code, out, err = run(
        sys.executable, "-c", "import espnet_blankskip, g2p_en.g2p", cwd=tmp_path
    )
    assert (code, out, err) == (0, "something else\n", "and to stderr\n")


def test_importing_the_package_says_nothing():
    rooms = "upstream", "model", "inference", "zoo.inspection"
    program = "import " + ", ".join(f"espnet_blankskip.{room}" for room in rooms)
    assert run(sys.executable, "-c", program) == (0, "", "")


def test_bars_are_not_drawn_into_what_is_no_terminal():
    program = (
        "from espnet_blankskip.terminal import ProgressBar\n"
        "with ProgressBar('working', 3) as bar:\n"
        "    bar.update(2); bar.tick(); print(bar.n, bar.total)"
    )
    code, out, err = run(sys.executable, "-c", program)
    assert (code, out, err) == (0, "2 3\n", "")
