"""What is written as JSON can be read by what knows JSON and not Python."""

import ast
import json
from pathlib import Path

import pytest

from espnet_blankskip.kaldi.json_file import json_text, write_json

PACKAGE = Path(__file__).resolve().parents[2] / "espnet_blankskip"


def strict(text):
    """Values of a JSON text, in which NaN and Infinity are no numbers."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    "values, read",
    [
        ({"wer": float("nan"), "kept": 0.5}, {"wer": None, "kept": 0.5}),
        ([float("inf"), (float("-inf"), 1)], [None, [None, 1]]),
        ({"a": {"b": [True, None, "NaN"]}}, {"a": {"b": [True, None, "NaN"]}}),
        (
            {"path": Path("exp/a"), "text": "\u00e4"},
            {"path": "exp/a", "text": "\u00e4"},
        ),
    ],
)
def test_a_number_that_is_not_finite_is_null(values, read, tmp_path):
    assert strict(json_text(values)) == read
    write_json(tmp_path / "new" / "a.json", values)
    assert strict((tmp_path / "new" / "a.json").read_text(encoding="utf-8")) == read


def test_what_is_no_plain_value_is_refused():
    with pytest.raises(TypeError):
        json_text({"model": object()})


def test_no_other_json_is_written_that_could_hold_nan():
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in ("json.dump", "json.dumps"):
                options = {o.arg: ast.unparse(o.value) for o in node.keywords}
                if options.get("allow_nan") != "False":
                    found.append(f"{path}:{node.lineno}")
    assert not found, found
