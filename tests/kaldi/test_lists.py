"""One grammar for every list: what is a line, a field and an id."""

from pathlib import Path

import pytest

from espnet_blankskip.evaluation.scoring import score_folder
from espnet_blankskip.kaldi.lists import (
    ListError,
    read_lines,
    read_rows,
    read_table,
    write_rows,
)

#: What Python's splitlines() and split() take for the end of a line or a field.
OTHER_SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u2028\u2029\u3000"

GRAMMAR = {
    "plain": (b"a one two\nb three\n", [("a", "one two"), ("b", "three")]),
    "no newline at the end": (b"a one\nb two", [("a", "one"), ("b", "two")]),
    "Windows": (b"a one\r\nb two\r\n", [("a", "one"), ("b", "two")]),
    "byte order mark": (b"\xef\xbb\xbfa one\n", [("a", "one")]),
    "tabs": (b"a\tone\ttwo\nb \t three\n", [("a", "one\ttwo"), ("b", "three")]),
    "blanks around": (b"  a   one two  \n", [("a", "one two")]),
    "no value": (b"a\nb \n", [("a", ""), ("b", "")]),
    "blank lines": (b"\na one\n \t\n\r\n", [("a", "one")]),
    "nothing": (b"", []),
    "twice": (b"a one\na two\n", [("a", "one"), ("a", "two")]),
    **{
        f"U+{ord(c):04X}": (f"a {c}x{c}y\n".encode(), [("a", f"{c}x{c}y")])
        for c in OTHER_SEPARATORS
    },
}


@pytest.mark.parametrize("case", GRAMMAR)
def test_lines_and_fields(case, tmp_path):
    content, rows = GRAMMAR[case]
    (tmp_path / "list").write_bytes(content)
    assert read_rows(tmp_path / "list") == rows
    if case != "twice":
        assert list(read_table(tmp_path / "list").items()) == rows


@pytest.mark.parametrize("character", OTHER_SEPARATORS)
def test_what_is_written_is_read(character, tmp_path):
    rows = [("a", f"x{character}y"), (f"b{character}c", "")]
    write_rows(tmp_path / "list", rows)
    assert read_rows(tmp_path / "list") == rows
    assert len(read_lines(tmp_path / "list")) == 2


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a 1\nb 2\r\n\na 3\n", "list, line 4: 'a' is listed twice"),
        (b"\xef\xbb\xbfa 1\na\t2\n", "list, line 2: 'a' is listed twice"),
        (b"a \xff\xfe\n", "list is not UTF-8 text"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(content, message, tmp_path):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(ListError, match=message):
        read_table(tmp_path / "list")


def test_a_perfect_result_is_scored_as_one_whatever_it_holds(tmp_path):
    """An editor's mark at the start, its lines' ends, and U+2028 in a transcript."""
    reference = "\ufeffa one\u2028two three\r\nb\tfour\x85five\r\n"
    (tmp_path / "ref").write_bytes(reference.encode())
    hypothesis = "a one\u2028two three\nb four\x85five\n"
    (tmp_path / "hyp").write_text(hypothesis, encoding="utf-8", newline="\n")
    scores = score_folder(tmp_path / "ref", tmp_path / "hyp", tmp_path)
    assert scores["wer"]["utterances"] == 2
    assert (scores["wer"]["percent"], scores["cer"]["percent"]) == (0.0, 0.0)


def test_no_list_is_read_past_the_grammar():
    """Whoever reads lines of text in the package does it by `read_lines`."""
    package = Path(__file__).parents[2] / "espnet_blankskip"
    found = [
        f"{file.relative_to(package)}: {line.strip()}"
        for file in sorted(package.rglob("*.py"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if "read_text" in line and "splitlines" in line
    ]
    # Lines that a program wrote, in ASCII, are no lists.
    programs = ("slurm_conf.py", "/proc/cpuinfo")
    assert not [line for line in found if not any(p in line for p in programs)]
