"""Files are there whole or not at all, however long their names are."""

import pytest

from espnet_blankskip.kaldi.whole_file import write_whole


@pytest.mark.parametrize("name", ["a", "x" * 255, "\u00e4" * 127, "..." + "y" * 252])
def test_any_name_that_a_file_can_have(name, tmp_path):
    for text in ("old", "new\nlines\n"):
        write_whole(tmp_path / "folder" / name, text)
        assert (tmp_path / "folder" / name).read_bytes() == text.encode()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [name]


def test_a_name_that_no_file_can_have_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="too long"):
        write_whole(tmp_path / ("x" * 256), "text")
    assert not list(tmp_path.iterdir())
