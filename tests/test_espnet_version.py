"""ESPnet is found without importing it; a useless one is named in one line."""

import logging
import subprocess
import sys

import pytest

from espnet_blankskip import espnet_version
from espnet_blankskip.espnet_version import ESPnetUnusable, check_espnet, find_espnet
from espnet_blankskip.upstream import ESPNET, ConformerEncoder, MultiHeadedAttention

TREES = {"2026": "version.txt", "before": "espnet/version.txt"}


@pytest.fixture
def make_place(tmp_path, monkeypatch):
    """Make a folder with a package ``espnet2``, as a wheel or a tree, and import it."""

    def make(name, wheel=None, tree=None, file=TREES["2026"], editable=False):
        place = tmp_path / name
        (place / "espnet").mkdir(parents=True)
        if not editable:
            (place / "espnet2").mkdir()
            (place / "espnet2" / "__init__.py").touch()
        if wheel is not None:
            info = place / f"espnet-{wheel}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: espnet\nVersion: {wheel}\n"
            )
        if tree is not None:
            (place / file).write_text(f"{tree}\n")
        return place

    def use(*places):
        monkeypatch.setattr(sys, "path", [str(place) for place in places])
        for name in [n for n in sys.modules if n.split(".")[0] == "espnet2"]:
            monkeypatch.delitem(sys.modules, name)

    make.use = use
    return make


def test_it_is_the_one_that_is_imported():
    assert ESPNET == find_espnet()
    assert ConformerEncoder.__module__.startswith("espnet2.")


def test_classes_are_those_that_espnets_own_encoders_use():
    """Where a tree holds both packages, instances must be of the classes checked."""
    encoder = ConformerEncoder(
        20, output_size=8, attention_heads=2, num_blocks=1, rel_pos_type="latest"
    )
    assert isinstance(encoder.encoders[0].self_attn, MultiHeadedAttention)


def test_wheel_says_its_version(make_place):
    make_place.use(make_place("site", wheel="202611"))
    assert find_espnet().version == "202611"


@pytest.mark.parametrize("file", TREES.values(), ids=TREES)
def test_tree_says_its_version(make_place, file):
    tree = make_place("tree", tree="202604", file=file)
    make_place.use(tree)
    assert find_espnet() == espnet_version.FoundESPnet("202604", tree)


def test_editable_installation_is_as_old_as_its_checkout(make_place, caplog):
    site = make_place("site", wheel="202511", editable=True)
    make_place.use(make_place("tree", tree="202604"), site)
    assert check_espnet().version == "202604"
    assert not caplog.records


def test_two_espnets_are_named(make_place, caplog):
    tree = make_place("tree", tree="202604")
    make_place.use(tree, make_place("site", wheel="202611"))
    assert check_espnet().version == "202604"
    (line,) = caplog.messages
    for words in ("202604", str(tree), "202611", "PYTHONPATH", "pip uninstall"):
        assert words in line


@pytest.mark.parametrize("version", ["202211", "202412", "202509"])
def test_too_old_is_refused_by_name(make_place, version):
    make_place.use(make_place("site", wheel=version))
    with pytest.raises(ESPnetUnusable, match=f"{version}.*202511 to.*pip install"):
        check_espnet()


def test_newer_than_known_gets_one_warning_and_is_tried(make_place, caplog):
    make_place.use(make_place("site", wheel="203012"))
    with caplog.at_level(logging.WARNING):
        assert check_espnet().version == "203012"
    assert len(caplog.messages) == 1
    assert "203012" in caplog.text


@pytest.mark.parametrize(
    "python, words",
    [
        ((3, 12, 1), r"pip install 'espnet\[asr,train\]>="),
        ((3, 14, 0), "Python 3.12 or 3.13.*3.14"),
    ],
    ids=["3.12", "3.14"],
)
def test_missing_espnet_says_what_to_install(make_place, monkeypatch, python, words):
    make_place.use()
    monkeypatch.setattr(sys, "version_info", python)
    with pytest.raises(ESPnetUnusable, match=f"not installed.*{words}"):
        check_espnet()


@pytest.mark.parametrize("verb", ["inspect", "transcribe"])
def test_commands_say_it_in_one_line(tmp_path, verb):
    """A real process in which no ESPnet can be imported."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = (\n"
        "    lambda name, package=None: None if name == 'espnet2'\n"
        "    else find(name, package)\n"
        ")\n"
    )
    code = (
        "import sys, sitecustomize\n"
        "from espnet_blankskip.bin.blankskip import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = {"inspect": ["x"], "transcribe": ["--model", "x", "y.wav"]}[verb]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n{code}",
        ]
        + [verb, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "ESPnet is not installed: pip install" in line
