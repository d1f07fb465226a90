"""What a table depends on is told as it is."""

import subprocess

from espnet_blankskip.evaluation import results_file


def commit_of(checkout, package):
    """Commit that results name, for a package at a place in a new git checkout."""
    (package / "evaluation").mkdir(parents=True)
    git = ["git", "-C", checkout, "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *words], check=True)
    return package / "evaluation" / "results_file.py"


def test_the_commit_is_the_plugins_and_not_of_what_it_is_installed_in(
    tmp_path, monkeypatch
):
    own = commit_of(tmp_path / "own", tmp_path / "own" / "espnet_blankskip")
    monkeypatch.setattr(results_file, "__file__", str(own))
    assert dict(results_file.environment(1))["commit"]
    other = tmp_path / "other"
    place = commit_of(other, other / "venv" / "site-packages" / "espnet_blankskip")
    monkeypatch.setattr(results_file, "__file__", str(place))
    assert "commit" not in dict(results_file.environment(1))
