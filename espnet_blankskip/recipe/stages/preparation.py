"""Stage 1: local/data.sh makes the data folders."""

import os

from espnet_blankskip.children import run_program
from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.layout import DATA
from espnet_blankskip.recipe.preflight import SCRIPT
from espnet_blankskip.recipe.recipe_run import RecipeRun
from espnet_blankskip.terminal import log

#: ``--corpus own``: the data are there, and the script only checks them.
OWN = "own"

# where corpora are; see db.sh
SOURCES = (
    "FSDD",
    "MINI_AN4",
    "AN4",
    "MINI_LIBRISPEECH",
    "LIBRISPEECH",
    "AISHELL",
)


def prepare_data(run: RecipeRun) -> None:
    """Run the corpus's own script, which shows its own progress."""
    options = run.options
    names = list(
        dict.fromkeys([options.train_set, options.valid_set, *options.test_sets])
    )
    folders = [DATA / name for name in names]
    marker = DATA / ".stage1.done"
    facts = {
        "local_data_opts": options.local_data_opts,
        "sets": names,
        **{name: os.environ.get(name, "") for name in SOURCES},
    }
    if OWN in options.local_data_opts:
        for folder in folders:
            facts.update(run.set_facts(folder))
    complete = all((folder / "wav.scp").is_file() for folder in folders)
    if complete and run.is_done(1, marker, facts, DATA):
        return
    marker.unlink(missing_ok=True)
    log(f"Stage 1: Data preparation for {', '.join(map(str, folders))}")
    command = ["bash", SCRIPT, *options.local_data_opts]
    code = run_program(command).returncode
    if code != 0:
        raise StageError(f"stage 1: {SCRIPT} ended with exit code {code}, see above")
    for folder in folders:
        if not (folder / "wav.scp").is_file():
            raise StageError(
                f"stage 1: {SCRIPT} made no {folder}: check --train_set, --valid_set, "
                "--test_sets and --local_data_opts"
            )
    run.mark_done(marker, facts)
