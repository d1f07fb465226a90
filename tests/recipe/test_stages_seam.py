"""In an ESPnet tree run.sh hands everything to asr.sh; elsewhere it does not."""

from recipe_folder import make_recipe, run_sh

RECORD = """#!/usr/bin/env bash
printf '%s\\n' "$@" > arguments
exit 7
"""


def pairs(folder):
    words = (folder / "arguments").read_text().splitlines()
    assert len(words) % 2 == 0, "every option has one value"
    return list(zip(words[::2], words[1::2]))


def test_asr_sh_gets_the_corpus_and_the_users_options_last(tmp_path):
    folder = make_recipe(tmp_path)
    (folder / "asr.sh").write_text(RECORD)
    (folder / "asr.sh").chmod(0o755)
    result = run_sh(
        folder,
        *("--corpus", "synthetic", "--stage", "11"),
        *("--asr_args", "--max_epoch 3", "--nj", "5"),
    )
    assert result.returncode == 7, "the exit code is that of asr.sh"
    arguments = pairs(folder)
    options = dict(arguments)
    assert options["--python"] == "python3 -m espnet_blankskip"
    assert options["--local_data_opts"] == "--corpus synthetic"
    assert options["--inference_asr_model"] == "valid.loss.ave.pth"
    assert options["--use_lm"] == "false"
    assert options["--inference_config"] == "conf/decode_asr_ctc_greedy.yaml"
    assert arguments[-3:] == [
        ("--stage", "11"),
        ("--asr_args", "--max_epoch 3"),
        ("--nj", "5"),
    ]
    assert "--corpus" not in options
    assert not (folder / "data").exists()


def test_each_corpus_has_its_own_defaults(tmp_path):
    folder = make_recipe(tmp_path)
    (folder / "asr.sh").write_text(RECORD)
    (folder / "asr.sh").chmod(0o755)
    found = {}
    for corpus in ("fsdd", "mini_an4", "synthetic"):
        run_sh(folder, f"--corpus={corpus}")
        options = dict(pairs(folder))
        found[corpus] = (options["--fs"], options["--token_type"], options["--nbpe"])
    assert found["fsdd"][:2] == ("8k", "word")
    assert found["mini_an4"] == ("16k", "bpe", "30")
    assert found["synthetic"][:2] == ("16k", "bpe")


def test_without_asr_sh_the_same_call_runs_the_pip_stages(tmp_path):
    folder = make_recipe(tmp_path)
    result = run_sh(folder, "--stage", "4", "--stop_stage", "4")
    assert result.returncode == 1
    expected = "stage 4 needs dump/raw/org/train_nodev/wav.scp: run stages 1-3 first"
    assert result.stderr.strip() == f"run.sh: error: {expected}"
