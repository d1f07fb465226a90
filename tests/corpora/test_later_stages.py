"""What comes after stage 1 takes the folders: the driver's stages, ESPnet's scripts."""

import os
import subprocess
from pathlib import Path

import pytest
import soundfile
from made_corpora import make_aishell, make_an4, make_librispeech, write_noise

from espnet_blankskip.corpora import CorpusOptions, prepare_corpus
from espnet_blankskip.corpora.manifests import Split, write_set
from espnet_blankskip.corpora.staging import StagedSets
from espnet_blankskip.kaldi.lists import read_table
from espnet_blankskip.recipe.__main__ import main

lhotse = pytest.importorskip("lhotse")


def make_segments(folder):
    """``data/{train,dev,test}`` of two recordings with three utterances each."""
    recordings = {}
    supervisions = []
    for name in ("one", "two"):
        path = write_noise(folder / "corpora" / f"{name}.flac", 3.0, rate=8000)
        recordings[name] = lhotse.Recording.from_file(path)
        for number in range(3):
            supervision = lhotse.SupervisionSegment(
                id=f"{name}-{number}",
                recording_id=name,
                start=number + 0.25,
                duration=0.5,
                text="GO ON",
                speaker=f"s{number}",
            )
            supervisions.append(supervision)
    record = {"corpus": "made"}
    with StagedSets(folder / "data", 8000, record) as sets:
        for name in ("train", "dev", "test"):
            write_set(sets, name, Split(recordings, supervisions))


def test_driver_cuts_the_segments_it_is_given(tmp_path, monkeypatch):
    make_segments(tmp_path)
    monkeypatch.chdir(tmp_path)
    sets = ["--train_set", "train", "--valid_set", "dev", "--test_sets", "test"]
    stages = ["--stage", "2", "--stop_stage", "4", "--fs", "8k"]
    assert main([*sets, *stages, "--speed_perturb_factors", "0.9 1.0"]) == 0
    kept = read_table(tmp_path / "dump" / "raw" / "test" / "wav.scp")
    assert list(kept) == [
        f"s{i}-{name}-{i}" for i in range(3) for name in ("one", "two")
    ]
    source, _ = soundfile.read(tmp_path / "corpora" / "two.flac", dtype="int16")
    cut, rate = soundfile.read(kept["s1-two-1"], dtype="int16")
    assert rate == 8000
    assert (cut == source[10000:14000]).all()
    assert len(read_table(tmp_path / "dump" / "raw" / "train_sp" / "wav.scp")) == 12


def test_data_script_passes_every_variable_and_option_on(recipe):
    (recipe / "corpora").mkdir()
    make_librispeech(
        recipe / "corpora", ["train-clean-100", "dev-clean", "test-clean", "test-other"]
    )
    # Set, not exported, as in ESPnet's db.sh.
    (recipe / "db.sh").write_text("LIBRISPEECH=corpora/LibriSpeech\n")
    command = ["bash", "local/data.sh", "--corpus", "lhotse:librispeech"]
    command += ["--lhotse_options", "num_jobs=2", "normalize_text=lower"]
    command += ["--test_splits", "test-clean"]
    done = subprocess.run(command, cwd=recipe, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sizes = {
        path.name: len(read_table(path / "text"))
        for path in (recipe / "data").iterdir()
    }
    assert sizes == {"train": 4, "dev": 4, "test": 4}
    assert "in no set: test-other\n" in done.stdout
    assert "dev: made of dev-clean\n" in done.stdout
    texts = read_table(recipe / "data" / "test" / "text").values()
    assert set(texts) == {"go do you hear"}
    paths = read_table(recipe / "data" / "test" / "wav.scp").values()
    assert all(Path(path).is_file() for path in paths)


def make_corpora(folder, monkeypatch):
    """Data folders of every kind, ``{name: folder of its sets}``."""
    corpora = folder / "corpora"
    make_librispeech(corpora)
    make_aishell(corpora)
    make_an4(corpora)
    for variable in ("LIBRISPEECH", "AISHELL", "AN4"):
        monkeypatch.setenv(variable, str(corpora))
    for name in ("librispeech", "aishell", "an4"):
        prepare_corpus(name, folder / name, CorpusOptions(downloads=folder / "none"))
    make_segments(folder)
    return [folder / name for name in ("librispeech", "aishell", "an4", "data")]


def test_kaldi_scripts_of_espnet_find_nothing_to_mend(tmp_path, monkeypatch):
    root = os.environ.get("ESPNET_ROOT")
    if not root:
        pytest.skip("ESPNET_ROOT names no ESPnet checkout")
    utils = Path(root) / "egs2" / "TEMPLATE" / "asr1" / "utils"
    (tmp_path / "utils").symlink_to(utils.resolve())
    (tmp_path / "path.sh").write_text("export LC_ALL=C\n")
    environment = {**os.environ, "LC_ALL": "C"}
    environment["PATH"] = f"{utils}{os.pathsep}{environment['PATH']}"
    lists = ("wav.scp", "text", "utt2spk", "spk2utt", "segments")
    for sets in make_corpora(tmp_path, monkeypatch):
        for folder in sets.iterdir():
            before = [
                (folder / n).read_bytes() for n in lists if (folder / n).is_file()
            ]
            for script in ("validate_data_dir.sh", "fix_data_dir.sh"):
                # Kaldi calls Chinese unprintable in the locale its lists are sorted in.
                validates = script.startswith("validate")
                options = ["--no-feats", "--non-print"] if validates else []
                done = subprocess.run(
                    ["bash", f"utils/{script}", *options, str(folder)],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                assert done.returncode == 0, (folder, done.stdout, done.stderr)
            after = [(folder / n).read_bytes() for n in lists if (folder / n).is_file()]
            assert before == after
