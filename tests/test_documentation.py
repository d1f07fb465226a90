"""What the pages tell users to type exists, and the README stays short."""

import argparse
import importlib
import re
import shlex
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple

import pytest

from benchmarks.__main__ import CASES
from espnet_blankskip.bin.blankskip import COMMANDS
from espnet_blankskip.recipe.option_list import build_parser

pytest.importorskip("onnx", reason="benchmarks exported needs it")

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
#: What run.sh and install.sh read themselves.
SHELL_OPTIONS = {"--corpus", "--help", "--force"}
#: Of ESPnet's commands and of Slurm's.
OTHERS_OPTIONS = {"--config", "--init_param", "--use_amp", "--accum_grad", "--mem"}
#: Named for a file that the reader has.
USERS_FILES = {"conf/train.yaml", "conf/inference_th90.yaml"}
BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
FILE = re.compile(
    r"(?<![\w/$.-])(?:conf|constraints|docs|egs[23]_recipe|espnet_blankskip|examples|tests)"
    r"/(?![\w./]*<)[\w*./-]*[\w*/]"
)


def options_of(parser: argparse.ArgumentParser) -> set:
    return set(parser._option_string_actions) | set(getattr(parser, "aliases", ()))


def command(words: list) -> Tuple[str, Callable[[], set]]:
    """Name of a program that is ours, and what finds its options."""

    def module(name: str):
        return lambda: options_of(importlib.import_module(name).get_parser())

    if words[:1] == ["blankskip"] and words[1:2] and not words[1].isupper():
        assert words[1] in COMMANDS or words[1] == "--help", f"no blankskip {words[1]}"
        if words[1] in COMMANDS:
            return f"blankskip {words[1]}", module(COMMANDS[words[1]][0])
    if words[:1] == ["./run.sh"]:
        return "run.sh", lambda: options_of(build_parser()) | SHELL_OPTIONS
    if words[1:3] == ["-m", "benchmarks"] and words[3:4] and words[3] != "CASE":
        assert words[3] in CASES, f"no python -m benchmarks {words[3]}"
        return f"benchmarks {words[3]}", module(f"benchmarks.{words[3]}")
    if words[1:2] == ["-m"] and words[2].startswith("espnet_blankskip."):
        found = importlib.import_module(words[2])
        if hasattr(found, "get_parser"):
            return words[2], module(words[2])
    if words[:1] == ["make"] and words[1:2]:
        rules = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{re.escape(words[1])}:", rules, re.MULTILINE), words
    return "", set


def typed(text: str) -> Iterator[str]:
    """Command lines that a page shows, each in one line."""
    for block in BLOCK.findall(text):
        yield from block.replace("\\\n", " ").splitlines()[1:-1]
    prose = BLOCK.sub("", text)
    yield from re.findall("^    .*", prose.replace("\\\n", " "), re.MULTILINE)
    for span in SPAN.findall(prose):
        yield " ".join(span.split())


def words_of(line: str) -> list:
    line = line.strip().lstrip("$ ").split(" && ")[-1]
    try:
        words = shlex.split(line.replace("[--", "--").replace("] ", " "), comments=True)
    except ValueError:  # prose with an apostrophe
        return []
    while words and re.fullmatch(r"[A-Za-z_]+=\S*", words[0]):
        words = words[1:]
    return words


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_shown_commands_have_the_options_they_are_shown_with(page):
    seen: Dict[str, set] = {}
    for line in typed(page.read_text(encoding="utf-8")):
        words = words_of(line)
        name, known = command(words)
        if not name:
            continue
        if name not in seen:
            seen[name] = known()
        for word in words:
            option = word.split("=")[0]
            if re.fullmatch(r"--[a-z][a-z0-9_-]*", option):
                assert option in seen[name], f"{name} has no {option}: {line}"


@pytest.fixture(scope="module")
def all_options() -> set:
    """Options of every command of ours."""
    modules = [module for module, _ in COMMANDS.values()]
    modules += [f"benchmarks.{case}" for case in CASES]
    modules += ["espnet_blankskip.corpora.cli", "espnet_blankskip.bin.asr_decode"]
    modules += ["espnet_blankskip.recipe.data_check"]
    found = options_of(build_parser()) | SHELL_OPTIONS | OTHERS_OPTIONS
    for name in modules:
        found |= options_of(importlib.import_module(name).get_parser())
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_options_that_the_text_names_exist(page, all_options):
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for span in SPAN.findall(prose):
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9_-]*(?!\*)\b", span):
            if not span.startswith(("pip ", "ffmpeg ", "espnet ")):
                assert option in all_options, f"`{span}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    recipe = REPOSITORY / "egs2_recipe" / "asr1"
    for name in FILE.findall(text):
        made = re.match(r"egs[23]_recipe/\w+/(data|exp|dump|downloads)\b", name)
        if not made and name not in USERS_FILES:
            places = [REPOSITORY, recipe, REPOSITORY / "egs3_recipe"]
            assert any(any(p.glob(name.rstrip("/"))) for p in places), name


def test_readme_can_be_read_in_a_few_minutes():
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 200
