"""Progress bars are for terminals: files and pipes hold none."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "espnet_blankskip"


def bars(path):
    """Calls that draw a bar of tqdm's own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm":
            yield node


def test_no_bar_of_ours_is_drawn_without_a_terminal():
    calls = [(path, call) for path in PACKAGE.rglob("*.py") for call in bars(path)]
    assert calls
    drawn = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path, call in calls
        if "None"
        not in [ast.unparse(o.value) for o in call.keywords if o.arg == "disable"]
    ]
    assert not drawn
