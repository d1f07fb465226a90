"""What every stage needs: the options, the folders, and how to run and to reuse."""

import argparse
import shutil
from pathlib import Path
from typing import Dict, Iterable, List

from espnet_blankskip.recipe.failed_stage import StageError
from espnet_blankskip.recipe.jobs import Backend
from espnet_blankskip.recipe.layout import Layout
from espnet_blankskip.recipe.markers import Facts, changed, content, write_marker
from espnet_blankskip.terminal import log


class RecipeRun:
    """One call of run.sh.

    Args:
        options: Parsed options.
    """

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.layout = Layout(options)

    def module(self, name: str, *arguments) -> List[str]:
        """Command that runs a Python module with the plugin registered."""
        return [*self.options.python, "-m", name, *map(str, arguments)]

    def is_done(
        self,
        number: int,
        marker: Path,
        facts: Facts,
        where: Path,
        replaced_whole: bool = False,
    ) -> bool:
        """Whether ``--reuse true`` may leave this piece of work alone.

        A marker that does not match is removed, so that work which is interrupted
        from here on is not taken for done by a later call. Where the old result is
        ``replaced_whole`` by the new one, it keeps its marker until then.
        """
        if self.options.reuse and changed(marker, facts) == []:
            log(f"Stage {number}: done already ({where})")
            return True
        if not replaced_whole:
            marker.unlink(missing_ok=True)
        return False

    def mark_done(self, marker: Path, facts: Facts) -> None:
        """Record that a piece of work is complete."""
        write_marker(marker, facts)

    def need(self, number: int, files: Iterable[Path], before: str) -> None:
        """Refuse to begin a stage whose input is not there.

        Raises:
            StageError: Names the missing file and the stages that make it.
        """
        for path in files:
            if not path.is_file():
                raise StageError(f"stage {number} needs {path}: run {before} first")

    def need_sets(self, number: int, folders: Iterable[Path], before: str) -> None:
        """The same for data sets, which must have utterances, too."""
        for folder in folders:
            self.need(number, [folder / "wav.scp", folder / "text"], before)
            if (folder / "wav.scp").stat().st_size == 0:
                raise StageError(f"stage {number}: {folder} has no utterances left")

    def sensible_jobs(
        self, number: int, option: str, backend: Backend, items: int
    ) -> int:
        """How many jobs to divide a stage's work into; said where it is fewer."""
        asked = getattr(self.options, option)
        jobs = backend.sensible_jobs(asked, items)
        if jobs < min(asked, items):
            log(f"Stage {number}: --{option} {asked}: {jobs} jobs for this machine")
        return jobs

    def need_space(self, number: int) -> None:
        """Refuse to begin a stage on a full disk.

        Raises:
            StageError: Names the folder, what is needed and what is there.
        """
        wanted = self.options.min_free_gb
        for folder in (Path("."), self.options.dumpdir, self.options.expdir):
            while not folder.exists():
                folder = folder.parent
            free = shutil.disk_usage(folder).free / 1e9
            if free < wanted:
                raise StageError(
                    f"stage {number} needs {wanted:g} GB of free disk space, but "
                    f"{folder.absolute()} has {free:.1f} GB (--min_free_gb)"
                )

    def set_facts(self, folder: Path) -> Dict[str, str]:
        """What tells one state of a data set from another."""
        names = ("wav.scp", "text", "segments", "utt2num_samples")
        return {f"{folder}/{name}": content(folder / name) for name in names}

    def token_arguments(self) -> List[str]:
        """Tokenization options of ESPnet's commands."""
        options, layout = self.options, self.layout
        return [
            "--use_preprocessor",
            "true",
            "--bpemodel",
            str(layout.bpe_model or "none"),
            "--token_type",
            options.token_type,
            "--token_list",
            str(layout.token_list),
            "--non_linguistic_symbols",
            options.nlsyms_txt,
            "--cleaner",
            options.cleaner,
            "--g2p",
            options.g2p,
        ]

    def model_arguments(self) -> List[str]:
        """Options that statistics and training must share; asr_args come last."""
        options = self.options
        config = ["--config", str(options.asr_config)] if options.asr_config else []
        return [*config, "--frontend_conf", f"fs={options.fs}", *options.asr_args]

    def model_facts(self) -> Facts:
        """What statistics and training depend on."""
        options, layout = self.options, self.layout
        return {
            **self.set_facts(layout.dump(layout.train_set)),
            **self.set_facts(layout.dump(layout.valid_set)),
            "token_list": content(layout.token_list),
            "asr_config": content(options.asr_config),
            "asr_args": options.asr_args,
            "token_type": options.token_type,
            "fs": options.fs,
        }
