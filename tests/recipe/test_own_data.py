"""Data as people have it: Kaldi folders without a corpus's name, checked first."""

import os
import subprocess

import numpy as np
import pytest
import soundfile
from recipe_folder import (
    RATE,
    REPOSITORY,
    SETS,
    environment,
    make_data,
    make_recipe,
    run_sh,
    tone,
)

from espnet_blankskip.kaldi.lists import read_table, write_rows
from espnet_blankskip.recipe import data_check
from espnet_blankskip.recipe.__main__ import main

NAMED = ["--train_set", SETS[0], "--valid_set", SETS[1], "--test_sets", SETS[2]]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with data/ of the user's; it is the current one."""
    monkeypatch.chdir(tmp_path)
    make_data(tmp_path)
    return tmp_path


def edit(folder, name, change):
    rows = read_table(folder / name)
    change(rows)
    write_rows(folder / name, rows.items())


@pytest.mark.parametrize("corpus, spelled", [(["--corpus", "own"], "_"), ([], "-")])
def test_own_folders_go_through_as_they_are(tmp_path, corpus, spelled):
    recipe = make_recipe(tmp_path)
    make_data(recipe)
    edit(recipe / "data" / SETS[0], "text", lambda rows: rows.popitem())
    (recipe / "data" / SETS[1] / "utt2spk").unlink()
    named = [w.replace("_", spelled) if w[:2] == "--" else w for w in NAMED]
    done = run_sh(recipe, *corpus, *named, "--fs", "8k", "--stop_stage=4")
    assert done.returncode == 0, done.stderr
    assert f"data/{SETS[0]}: 3 utterances (4 at 8000 Hz)" in done.stdout
    assert f"spk1-{SETS[0]}-3: has no transcript" in done.stdout
    for name, count in zip(SETS, (3, 4, 4)):
        assert len(read_table(recipe / "dump" / "raw" / name / "text")) == count
    folders = [path.name for path in (recipe / "data").iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(SETS)


def test_run_sh_names_what_own_data_need(tmp_path):
    recipe = make_recipe(tmp_path)
    make_data(recipe)
    for options, missing in (
        (["--corpus", "own"], "--train_set"),
        ([], "--train_set"),
        (NAMED[:2], "--valid_set"),
        (NAMED[:4], "--test_sets"),
    ):
        done = run_sh(recipe, *options)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        names = " ".join(sorted(SETS))
        assert f"{missing} is required with own data: data/ has {names}" in line


def test_options_of_the_preparation_leave_the_corpus_as_it_is(tmp_path):
    recipe = make_recipe(tmp_path)
    options = ["--stop_stage", "1", "--local_data_opts", "--exclude-speaker me"]
    done = run_sh(recipe, "--corpus", "mini_an4", *options)
    assert done.returncode == 1
    assert "--exclude-speaker does not apply to the corpus mini_an4" in done.stderr
    done = run_sh(recipe, "--corpus", "an4", "--local_data_opts", "--corpus=fsdd")
    assert done.returncode == 2
    assert "--corpus an4 and --local_data_opts '--corpus fsdd' differ" in done.stderr


def missing_file(data):
    next((data / "wav").iterdir()).unlink()


def not_audio(data):
    next((data / "wav").iterdir()).write_text("this is no audio file at all" * 9)


def other_ids(data):
    edit(data, "text", lambda rows: rows.update({"spk9-x": rows.popitem()[1]}))


def empty_text(data):
    edit(data, "text", lambda rows: rows.update({next(iter(rows)): ""}))


def twice(data):
    with (data / "text").open("a") as lines:
        lines.write(f"spk0-{data.name}-0 again\n")


FAULTS = {
    "missing file": (missing_file, "no such audio file", False),
    "no audio": (not_audio, "cannot be read as audio", False),
    "other ids": (other_ids, "spk9-x: has a transcript and no audio", False),
    "empty text": (empty_text, "its transcript is empty", False),
    "an id twice": (twice, "is listed twice", True),
    "no text": (lambda data: (data / "text").unlink(), "text is missing", True),
    "nothing": (
        lambda data: (data / "wav.scp").write_text(""),
        "no utterance can be used",
        True,
    ),
}


@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("name", [SETS[0], SETS[2]], ids=["train", "test"])
def test_faults_are_named_before_anything_is_made(own, capsys, case, name):
    spoil, reason, fatal = FAULTS[case]
    spoil(own / "data" / name)
    status = data_check.main(NAMED)
    said = capsys.readouterr()
    assert f"data/{name}" in (said.err if fatal else said.out)
    assert reason in (said.err if fatal else said.out)
    test = name == SETS[2]
    assert status == (1 if fatal or test else 0)
    if not fatal:
        assert data_check.main([*NAMED, "--thin_test_sets", "true"]) == 0


def test_rates_and_foreign_tokens_are_told(own, capsys):
    (own / "tokens.txt").write_text("<blank>\n<unk>\none\n<sos/eos>\n")
    path = next((own / "data" / SETS[0] / "wav").iterdir())
    soundfile.write(path, tone(1.0), 2 * RATE)
    options = ["--token_list", "tokens.txt", "--token_type", "word"]
    assert data_check.main([*NAMED, *options, "--fs", "8k"]) == 0
    out = capsys.readouterr().out
    assert f"data/{SETS[0]}: 4 utterances (3 at 8000 Hz, 1 at 16000 Hz)" in out
    assert f"data/{SETS[0]}: stage 3 resamples to 8000 Hz" in out
    assert f"data/{SETS[1]}: stage 3" not in out
    assert f"spk0-{SETS[2]}-0: two" in out


def stages(*extra):
    return main([*NAMED, "--fs", "8k", "--stage", "3", "--stop_stage", "4", *extra])


def test_a_test_set_is_never_thinned(own, capsys):
    data = own / "data" / SETS[2]
    ids = list(read_table(data / "wav.scp"))
    stereo = np.stack([tone(1.0), np.zeros(RATE)], axis=1)
    soundfile.write(data / "wav" / f"{ids[0]}.wav", stereo, RATE)
    edit(data, "text", lambda rows: rows.update({ids[1]: ""}))
    assert stages() == 0
    dump = own / "dump" / "raw" / SETS[2]
    assert list(read_table(dump / "wav.scp")) == list(read_table(dump / "text")) == ids
    assert read_table(dump / "text")[ids[1]] == ""
    mixed, _ = soundfile.read(read_table(dump / "wav.scp")[ids[0]])
    assert mixed == pytest.approx(tone(1.0) / 2, abs=1e-3)

    (data / "wav" / f"{ids[2]}.wav").write_bytes(b"")
    capsys.readouterr()
    assert stages() == 1
    *_, error = capsys.readouterr().err.splitlines()
    assert f"1 utterances of the test set {SETS[2]} cannot be used" in error
    assert ids[2] in error and "--thin_test_sets true" in error
    assert list(read_table(dump / "wav.scp")) == ids  # as before
    assert stages("--thin_test_sets", "true") == 0
    assert list(read_table(dump / "dropped")) == [ids[2]]


SETUP = """\
mkdir -p "$1/local" "$1/conf"
for name in cmd.sh path.sh db.sh local/path.sh; do : > "$1/${name}"; done
printf '#!/usr/bin/env bash\\nprintf "%%s\\\\n" "$@"\\n' > "$1/asr.sh"
chmod +x "$1/asr.sh"
"""


def test_a_tree_takes_own_data_under_any_name(tmp_path):
    tree = tmp_path / "espnet"
    template = tree / "egs2" / "TEMPLATE" / "asr1"
    template.mkdir(parents=True)
    (template / "setup.sh").write_text(SETUP)
    install = REPOSITORY / "egs2_recipe" / "install.sh"
    done = subprocess.run(
        ["bash", install, "--force", tree, "my_corpus"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "./run.sh --corpus own --train_set" in done.stdout
    recipe = tree / "egs2" / "my_corpus" / "asr1"
    (recipe / "db.sh").touch()
    make_data(recipe)
    os.chmod(recipe / "run.sh", 0o755)
    done = run_sh(recipe, *NAMED, "--fs", "8k", "--stop_stage", "5")
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    data = words[max(i for i, w in enumerate(words) if w == "--local_data_opts") + 1]
    assert data.startswith("--corpus own") and " ".join(NAMED) in data
    # What asr.sh does in stage 1: nobody said who speaks, which its scripts need.
    for name in SETS:
        (recipe / "data" / name / "utt2spk").unlink()
    command = ["bash", "local/data.sh", *data.split()]
    done = subprocess.run(
        command, cwd=recipe, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert read_table(recipe / "data" / SETS[0] / "utt2spk")
