"""A folder that nobody named is taken for the corpus only if it is the corpus."""

from pathlib import Path

import pytest
from made_corpora import LIBRISPEECH_PARTS, make_aishell, make_an4, make_librispeech

from espnet_blankskip.corpora import aishell, an4, finding, librispeech

PARTS = tuple(part for part in LIBRISPEECH_PARTS if part[-3:] not in ("360", "500"))
#: How a corpus is made, what makes another folder of it, how it is looked for.
CORPORA = {
    "librispeech": (
        lambda folder: make_librispeech(folder, PARTS),
        "LibriSpeech/dev-other",
        lambda downloads: librispeech.find_root(PARTS, downloads),
    ),
    "an4": (
        make_an4,
        "an4/etc",
        lambda downloads: finding.find_source("AN4", "an4", downloads, an4.is_an4),
    ),
    "aishell": (make_aishell, "data_aishell/wav/dev", aishell.find_root),
}


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """``shared/data``, where what several checkouts use lies."""
    monkeypatch.setattr(finding, "search_roots", lambda: [tmp_path])
    return tmp_path / "shared" / "data"


@pytest.mark.parametrize("name", CORPORA)
def test_whole_corpus_beside_the_checkout_is_used(shared, monkeypatch, name):
    make, _, find = CORPORA[name]
    monkeypatch.delenv(name.upper(), raising=False)
    make(shared / name)
    assert find(shared / "nothing").is_relative_to(shared / name)


@pytest.mark.parametrize("name", CORPORA)
def test_another_folder_of_that_name_is_passed_over(
    shared, monkeypatch, capsys, tmp_path, name
):
    make, part, find = CORPORA[name]
    monkeypatch.delenv(name.upper(), raising=False)
    make(shared / name)
    (shared / name / part).rename(tmp_path / "elsewhere")

    # What would fetch it.
    def download(corpus, target_dir, **_):
        return make(Path(target_dir))

    monkeypatch.setattr("espnet_blankskip.corpora.lhotse_recipes.download", download)
    monkeypatch.setattr(finding, "MIN_FREE_GB", -1000.0)
    found = find(tmp_path / "downloads")
    assert found is None or found.is_relative_to(tmp_path / "downloads")
    assert f"{shared / name} is not used: it lacks parts" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["librispeech", "aishell"])
def test_named_folder_is_never_passed_over(shared, monkeypatch, name):
    make, part, find = CORPORA[name]
    make(shared / name)
    (shared / name / part).rename(shared / "elsewhere")
    monkeypatch.setenv(name.upper(), str(shared / name))
    with pytest.raises(finding.SourceMissing, match=name.upper()):
        find(shared / "nothing")
