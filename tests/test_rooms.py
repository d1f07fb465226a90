"""Imports only run downwards, and ESPnet is imported at one door."""

import ast
from collections import Counter
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "espnet_blankskip"
#: One level a line, from the top down: its rooms, two spaces or more, what they do.
ORDER = REPOSITORY / "docs" / "rooms.txt"
DOOR = "upstream"
#: Functions that import what a string names.
IMPORTERS = ("quiet_import", "import_module", "run_module")
#: Rooms whose modules are named after the part of a model or call that they mirror.
MIRRORS = ("export", "runtime")
#: What people typed before; each only runs the module that has the name today.
OLD_NAMES = ("recipe/corpora.py", "recipe/report.py")


def levels() -> List[List[str]]:
    """Rooms of each level, the lowest first."""
    lines = ORDER.read_text(encoding="utf-8").splitlines()
    tops = [line.replace(", ", ",").split()[0].split(",") for line in lines]
    return tops[::-1]


def sources() -> List[Tuple[str, Path]]:
    """``(room, file)`` of every file of the package."""
    root = REPOSITORY / PACKAGE
    files = sorted(root.rglob("*.py"))
    return [(file.relative_to(root).with_suffix("").parts[0], file) for file in files]


def imported(source: str) -> Iterator[Tuple[int, str]]:
    """Line and name of every module that a source imports, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            function = getattr(node.func, "attr", getattr(node.func, "id", None))
            name = getattr(node.args[0], "value", None)
            if function in IMPORTERS and isinstance(name, str):
                yield node.lineno, name


def faults(room: str, source: str) -> List[str]:
    """What a source of a room must not import."""
    height = {name: n for n, names in enumerate(levels()) for name in names}
    found = []
    for line, name in imported(source):
        top, _, below = name.partition(".")
        if top == PACKAGE:
            target = below.split(".")[0]
            # A name of the package itself, such as `register`, is no room.
            target = target if target in height else "__init__"
            if target != room and height[target] >= height[room]:
                found.append(f"line {line}: {room} imports {name}")
        elif top.startswith("espnet") and room != DOOR:
            found.append(f"line {line}: {name} is imported outside {DOOR}.py")
    return found


def test_every_room_has_its_place_and_every_place_its_room():
    named = [name for names in levels() for name in names]
    assert sorted(named) == sorted({room for room, _ in sources()})


def test_no_two_modules_share_a_name():
    root = REPOSITORY / PACKAGE
    modules = [file for _, file in sources() if not file.stem.startswith("__")]
    assert not [name for name in OLD_NAMES if root / name not in modules]
    names = Counter(
        file.stem
        for file in modules
        if file.relative_to(root).as_posix() not in OLD_NAMES
        and file.relative_to(root).parts[0] not in MIRRORS
    )
    assert not [name for name, count in names.items() if count > 1]


def test_contributors_see_the_same_picture():
    shown = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert ORDER.read_text(encoding="utf-8") in shown, f"it quotes an older {ORDER}"


@pytest.mark.parametrize("room", [name for names in levels() for name in names])
def test_imports_only_run_downwards(room):
    files = [file for name, file in sources() if name == room]
    assert files
    found = [
        f"{file.relative_to(REPOSITORY)}, {fault}"
        for file in files
        for fault in faults(room, file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "room, source, count",
    [
        ("gate", "import torch\nfrom espnet_blankskip.upstream import CTC", 0),
        ("zoo", "from espnet_blankskip.zoo import support", 0),
        ("gate", "from espnet_blankskip import packing", 1),
        ("encoders", "def f():\n    from espnet_blankskip.model import M", 1),
        ("kaldi", "def f():\n    import espnet_blankskip.recipe.jobs as j", 1),
        ("transcripts", "x = quiet_import('espnet_blankskip.bin.blankskip')", 1),
        ("decoding", "from espnet_blankskip import register", 1),
        ("model", "def f():\n    from espnet2.tasks.asr import ASRTask", 1),
        ("model", "import espnet", 1),
        ("upstream", "from espnet3 import x", 0),
    ],
)
def test_the_check_sees_imports_wherever_they_stand(room, source, count):
    assert len(faults(room, source)) == count
