"""In an ESPnet tree run.sh hands everything to asr.sh; elsewhere it does not.

Here a stand-in for asr.sh records its arguments; `test_espnet_tree.py` runs the real
one where ``ESPNET_ROOT`` gives a tree.
"""

import subprocess
from pathlib import Path

import pytest
from recipe_folder import REPOSITORY, make_recipe, run_sh

INSTALL = REPOSITORY / "egs2_recipe" / "install.sh"
RECORD = """#!/usr/bin/env bash
printf '%s\\n' "$@" > arguments
exit 7
"""
# What install.sh needs of a tree: ESPnet's setup.sh makes a folder from the template.
SETUP = """#!/usr/bin/env bash
set -e
[ -d "$1/../../TEMPLATE" ]
mkdir -p "$1/conf" "$1/local"
echo '# made by setup.sh' > "$1/local/path.sh"
echo 'partition of the cluster' > "$1/conf/slurm.conf"
ln -s ../../TEMPLATE/asr1/asr.sh "$1/asr.sh"
"""


def pairs(folder):
    words = (folder / "arguments").read_text().splitlines()
    assert len(words) % 2 == 0, "every option has one value"
    return list(zip(words[::2], words[1::2]))


@pytest.fixture
def tree_recipe(tmp_path):
    """The recipe beside a stand-in asr.sh, and a stand-in sclite."""
    folder = make_recipe(tmp_path)
    (folder / "local" / "path.sh").write_text('PATH="${PWD}/tools:${PATH}"\n')
    (folder / "tools").mkdir()
    for name in ("asr.sh", "tools/sclite"):
        (folder / name).write_text(RECORD)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def tree(tmp_path):
    """A stand-in for an ESPnet checkout."""
    template = tmp_path / "espnet" / "egs2" / "TEMPLATE" / "asr1"
    template.mkdir(parents=True)
    (template / "setup.sh").write_text(SETUP)
    (template / "asr.sh").write_text(RECORD)
    (template / "asr.sh").chmod(0o755)
    (tmp_path / "espnet" / "espnet").mkdir()
    (tmp_path / "espnet" / "espnet" / "version.txt").write_text("202511\n")
    return tmp_path / "espnet"


def install(*arguments):
    return subprocess.run(
        [str(INSTALL), *map(str, arguments)], capture_output=True, text=True
    )


def test_asr_sh_gets_the_corpus_and_the_users_options_last(tree_recipe):
    result = run_sh(
        tree_recipe,
        *("--corpus", "synthetic", "--stage", "11"),
        *("--asr_args", "--max_epoch 3", "--nj", "5"),
    )
    assert result.returncode == 7, "the exit code is that of asr.sh"
    arguments = pairs(tree_recipe)
    options = dict(arguments)
    assert options["--python"] == "python3 -m espnet_blankskip"
    assert options["--local_data_opts"] == "--corpus synthetic"
    assert options["--inference_asr_model"] == "valid.loss.ave.pth"
    assert options["--use_lm"] == "false"
    assert options["--inference_config"] == "conf/decode_asr_ctc_greedy.yaml"
    assert arguments[-4:] == [
        ("--stage", "11"),
        ("--asr_args", "--max_epoch 3"),
        ("--nj", "5"),
        ("--local_data_opts", "--corpus synthetic"),  # with the user's within
    ]
    assert "--corpus" not in options
    assert not (tree_recipe / "data").exists()


def test_each_corpus_has_its_own_defaults(tree_recipe):
    found = {}
    for corpus in ("fsdd", "mini_an4", "synthetic", "an4", "mini_librispeech"):
        run_sh(tree_recipe, f"--corpus={corpus}")
        options = dict(pairs(tree_recipe))
        found[corpus] = (options["--fs"], options["--token_type"], options["--nbpe"])
        assert (tree_recipe / options["--asr_config"]).is_file(), corpus
        if corpus in ("fsdd", "an4", "mini_librispeech"):  # trained as written there
            assert f"asr_{corpus}_blankskip" in options["--asr_config"]
    assert found["fsdd"][:2] == ("8k", "word")
    assert found["mini_an4"] == ("16k", "bpe", "30")
    assert found["synthetic"][:2] == ("16k", "bpe")
    assert found["an4"] == ("16k", "bpe", "50")
    assert found["mini_librispeech"] == ("16k", "bpe", "300")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--reuse", "true"], "--reuse is no option of asr.sh"),
        (["--inference_bin=x"], "--inference_bin is no option of asr.sh"),
        (["--stage", "3"], "no sclite, which stage 13 scores with"),
    ],
)
def test_what_asr_sh_would_stumble_over_is_said_before_stage_1(
    tree_recipe, options, message
):
    (tree_recipe / "tools" / "sclite").unlink()
    result = run_sh(tree_recipe, "--corpus", "fsdd", *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tree_recipe / "arguments").exists()


@pytest.mark.parametrize(
    "options", [["--stop_stage", "12"], ["--skip_eval", "true"], ["--stage", "14"]]
)
def test_sclite_is_not_asked_for_where_nothing_is_scored(tree_recipe, options):
    (tree_recipe / "tools" / "sclite").unlink()
    assert run_sh(tree_recipe, "--corpus", "fsdd", *options).returncode == 7


def test_without_asr_sh_the_same_call_runs_the_pip_stages(tmp_path):
    folder = make_recipe(tmp_path)
    result = run_sh(folder, "--stage", "4", "--stop_stage", "4")
    assert result.returncode == 1
    expected = "stage 4 needs dump/raw/org/train_nodev/wav.scp: run stages 1-3 first"
    assert result.stderr.strip() == f"run.sh: error: {expected}"


def test_install_makes_a_recipe_that_calls_asr_sh_for_its_corpus(tree):
    result = install(tree, "mini_an4")
    assert result.returncode == 0, result.stderr
    recipe = tree / "egs2" / "mini_an4" / "asr1"
    assert [path.name for path in recipe.parent.iterdir()] == ["asr1"]
    assert (recipe / "conf" / "slurm.conf").read_text() == "partition of the cluster\n"
    assert (recipe / "conf" / "decode_asr_ctc_greedy.yaml").is_file()
    made = (recipe / "local" / "path.sh").read_text()
    assert made.startswith("# made by setup.sh\n")
    command = "set -u; . local/path.sh; echo $PYTHONPATH"
    found = subprocess.check_output(["bash", "-c", command], cwd=recipe, text=True)
    assert Path(found.split(":")[0].strip()) == REPOSITORY

    (recipe / "path.sh").write_text("")
    (recipe / "cmd.sh").write_text("")
    result = run_sh(recipe, "--stop_stage", "1")
    assert result.returncode == 7, result.stderr
    assert dict(pairs(recipe))["--local_data_opts"] == "--corpus mini_an4"


@pytest.mark.parametrize("version", ["202511", "202604", "202611"])
def test_install_takes_every_supported_version_without_force(tree, version):
    """A tree of 2026 has its version.txt at the top."""
    (tree / "espnet" / "version.txt").unlink()
    (tree / "version.txt").write_text(f"{version}\n")
    result = install(tree, "fsdd")
    assert result.returncode == 0, result.stderr
    assert not result.stderr


@pytest.mark.parametrize(
    "prepare, arguments, message",
    [
        ("", [], "usage: egs2_recipe/install.sh"),
        ("rm -r espnet/egs2", ["TREE", "fsdd"], "is no ESPnet checkout"),
        (":", ["/no/such/tree", "fsdd"], "no such folder"),
        (
            "echo 202402 > espnet/espnet/version.txt",
            ["TREE", "fsdd"],
            "is ESPnet 202402; the plugin was tested with 202511 to 202611",
        ),
        (
            "echo 203001 > espnet/version.txt",
            ["TREE", "fsdd"],
            "is ESPnet 203001; the plugin was tested with 202511 to 202611",
        ),
        ("rm espnet/espnet/version.txt", ["TREE", "fsdd"], "of an unknown version"),
        (
            "mkdir -p espnet/egs2/fsdd/asr1",
            ["TREE", "fsdd"],
            "egs2/fsdd/asr1 exists already",
        ),
        (":", ["TREE", "../fsdd"], "must be plain names"),
    ],
)
def test_install_refuses_and_changes_nothing(tree, prepare, arguments, message):
    subprocess.run(["bash", "-c", prepare], cwd=tree.parent, check=True)
    before = sorted(tree.rglob("*"))
    result = install(*[tree if word == "TREE" else word for word in arguments])
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert sorted(tree.rglob("*")) == before


def test_install_with_force_keeps_the_old_recipe_beside_the_new(tree):
    old = tree / "egs2" / "fsdd" / "asr1"
    old.mkdir(parents=True)
    (old / "run.sh").write_text("mine\n")
    assert install("--force", tree, "fsdd").returncode == 0
    kept = old.with_name("asr1.before_blankskip")
    assert (kept / "run.sh").read_text() == "mine\n"
    assert (old / "run.sh").read_text() != "mine\n"
    result = install("--force", tree, "fsdd")
    assert result.returncode == 1
    assert "asr1.before_blankskip is in the way" in result.stderr
