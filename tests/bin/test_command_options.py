"""One vocabulary: every command calls an option the same, explains it, and names it."""

import argparse
import importlib
import re

import pytest

from espnet_blankskip.bin import asr_decode
from espnet_blankskip.bin.blankskip import COMMANDS, main
from espnet_blankskip.bin.recognition_options import DECODING, decoding_options
from espnet_blankskip.command_parser import CommandParser, UsageError
from espnet_blankskip.corpora import cli
from espnet_blankskip.decoding import make_lexicon
from espnet_blankskip.decoding.decode_config import read_decode_config
from espnet_blankskip.decoding.search_options import SEARCH_OPTIONS
from espnet_blankskip.evaluation import report
from espnet_blankskip.gate_options import GATE_OPTIONS
from espnet_blankskip.recipe import data_check

PARSERS = {
    verb: importlib.import_module(module).get_parser
    for verb, (module, _) in COMMANDS.items()
}
PARSERS["asr_decode"] = asr_decode.get_parser
PARSERS["report"] = report.get_parser
PARSERS["corpora"] = cli.get_parser
PARSERS["data_check"] = data_check.get_parser
PARSERS["make_lexicon"] = make_lexicon.get_parser


@pytest.mark.parametrize("command", PARSERS)
def test_help_is_complete(command):
    """What every option does, its default, its unit, and an example that parses."""
    parser = PARSERS[command]()
    for action in parser._actions:
        name = "/".join(action.option_strings) or action.dest
        assert action.help, f"{name} has no help"
        if not action.option_strings or action.dest in ("help", "config"):
            continue
        if action.required:
            continue
        told = re.search(r"\(([^()]+)\)$", action.help)
        assert told, f"{name}: its default is not told"
        default = action.default
        if default not in (None, False, []) and action.dest not in (
            "beam_size",
            "nbest",
        ):
            listed = default if isinstance(default, tuple) else [default]
            shown = [f"{d:g}" if isinstance(d, float) else str(d) for d in listed]
            assert told[1] == " ".join(shown), name
        if action.nargs != 0 and not action.choices:
            assert action.metavar, f"{name}: no word for its value"
    example = re.fullmatch(rf"example: {parser.prog} (.+)", parser.epilog)
    words = example[1].split()
    if "--config" not in words:  # a file of the recipe
        parser.parse_args(words)


@pytest.mark.parametrize("command", PARSERS)
def test_options_are_called_what_yaml_and_python_call_them(command):
    parser = PARSERS[command]()
    known = {action.dest: action.option_strings for action in parser._actions}
    for name in {*GATE_OPTIONS, *SEARCH_OPTIONS} & set(known):
        assert [o.lstrip("-").replace("-", "_") for o in known[name]] == [name]
    decodes = {"transcribe", "show", "calibrate", "asr_decode"}
    if command in decodes:
        everything = {*GATE_OPTIONS, *SEARCH_OPTIONS}
        everything -= {"calibrate": {"mode", "nbest"}, "show": {"nbest"}}.get(
            command, set()
        )
        assert everything <= set(known)
        assert "--decode-config" in {*parser._option_string_actions, *parser.aliases}


def test_the_page_of_options_has_them_all(pytestconfig):
    page = (pytestconfig.rootpath / "docs/pages/options.md").read_text()
    page = page.partition("## What earlier")[0]
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\|([^|]*)\|", page, re.MULTILINE))
    assert {*DECODING, "batch_size"} == set(rows)
    for name in DECODING:
        assert f"`--{name.replace('_', '-')}" in rows[name]
    assert "`--lang`" in rows["lang_sym"] and "`--task`" in rows["task_sym"]


@pytest.fixture
def parser():
    built = CommandParser("tool", "Does it.", "tool --mode dense")
    built.aliases = {"--dense": ["--mode", "dense"], "--beam": ["--beam-size"]}
    for name in DECODING:
        built.add_argument("--" + name.replace("_", "-"))
    built.add_argument("--decode-config")
    return built


@pytest.mark.parametrize(
    "words, message, expected",
    [
        ("", "beam_size=0 must be", "--beam-size 0 must be"),
        ("--beam 0", "beam_size=0 must be", "--beam 0 must be"),
        ("--beam_size 0", "beam_size=0 must be", "--beam_size 0 must be"),
        ("--beam-size=0", "beam_size=0 must be", "--beam-size 0 must be"),
        ("--dense", "x with mode=dense", "x with --dense"),
        ("--mode dense", "x with mode=dense", "x with --mode dense"),
        ("", "gate_layers=[4, 8] must", "--gate-layers 4,8 must"),
        ("", "lm_file=a b.arpa is not", "--lm-file a b.arpa is not"),
        (
            "",
            "a.yaml: lm_weight=1 needs lm_file",
            "a.yaml: --lm-weight 1 needs --lm-file",
        ),
        ("", "exp/beam_size=3/x.pth: no file", "exp/beam_size=3/x.pth: no file"),
        ("", "the mode and the lexicon", "the mode and the lexicon"),
    ],
)
def test_messages_name_options_as_they_were_typed(parser, words, message, expected):
    parser.parse_args(words.split())
    assert parser.as_typed(message) == expected


@pytest.mark.parametrize("command", ["transcribe", "show"])
def test_options_of_a_training_are_not_taken_for_those_typed(command):
    said = "this checkpoint takes no prompt (model=espnet_ctc, encoder=x does)"
    parser = PARSERS[command]()
    parser.parse_args(["x.wav", "--model", "exp/asr"])
    assert parser.as_typed(said) == said


def test_options_of_a_file_keep_their_names(parser, tmp_path):
    config = tmp_path / "d.yaml"
    config.write_text("mode: skipping\nblank_threshold: 0.8\nbeam_size: 3\n")
    args = parser.parse_args(["--decode-config", str(config), "--beam", "4"])
    options = decoding_options(parser, args, DECODING)
    assert options == dict(mode="skipping", blank_threshold=0.8, beam_size="4")
    said = parser.as_typed("blank_threshold=0.8 and beam_size=4")
    assert said == "blank_threshold=0.8 and --beam 4"


@pytest.mark.parametrize(
    "text, words, message",
    [
        ("blank_threshold: 0.3\n", "", "d.yaml: blank_threshold=0.3 must be at least"),
        (
            "blank_treshold: 0.9\n",
            "",
            "d.yaml: blank_treshold is no .* blank_threshold?",
        ),
        ("ctc_weight: 1.0\n", "", "d.yaml: ctc_weight is no option of decoding here"),
        ("nbest: 2\n", "", "d.yaml: nbest=2 must lie in 1..1"),
        ("- mode\n", "", "d.yaml: not a list of `option: value` lines"),
        ("mode: [\n", "", "d.yaml: while parsing"),
        (
            "mode: dense\n",
            "--blank-threshold 0.9",
            "blank_threshold would have no effect",
        ),
    ],
)
def test_a_wrong_decode_config_is_named(parser, tmp_path, text, words, message):
    (tmp_path / "d.yaml").write_text(text)
    args = parser.parse_args(["--decode-config", f"{tmp_path}/d.yaml", *words.split()])
    with pytest.raises(ValueError, match=message) as caught:
        decoding_options(parser, args, DECODING)
    assert "\n" not in str(caught.value)


def test_a_mode_that_is_typed_leaves_the_files_gate_alone(parser, tmp_path):
    (tmp_path / "d.yaml").write_text("blank_threshold: 0.8\ngate_layers: [4]\n")
    words = ["--decode-config", f"{tmp_path}/d.yaml", "--mode"]
    args = parser.parse_args([*words, "intermediate"])
    options = decoding_options(parser, args, DECODING)
    assert options == dict(gate_layers=[4], mode="intermediate")


def test_shipped_decode_configs_are_read(pytestconfig):
    shipped = sorted((pytestconfig.rootpath / "conf").rglob("decode_*.yaml"))
    assert len(shipped) >= 6
    for path in shipped:
        assert "mode" in read_decode_config(path)


def some_command(words, capsys):
    """Status and lines of a command line that goes wrong."""
    status = main(words)
    captured = capsys.readouterr()
    assert captured.out == ""
    return status, captured.err.splitlines()


@pytest.mark.parametrize(
    "words, message",
    [
        ("transcribe", "required: INPUT, --model"),
        ("transcribe --model x", "required: INPUT"),
        ("transcribe x --model y --jbos 2", "no option --jbos; did you mean --jobs?"),
        ("transcribe x --model y --jobs", "--jobs: expected one argument"),
        ("transcribe x --model y --format txt", "--format: invalid choice: 'txt'"),
        ("show a.wav --model y --nbest 2", "no option --nbest"),
        ("convert a b", "--gate-layers is required, such as --gate-layers 4"),
        (
            "convert a b --gate-layers 4 8",
            "'8' (the layers of one list are joined: 4,8)",
        ),
        ("convert a b --gate-layers 8,4", "--gate-layers 8,4 must be ascending"),
        (
            "convert a b --gate-layers 4 --blank-threshold 0.2",
            "--blank-threshold 0.2 mu",
        ),
        ("calibrate a --data b --num-threads 0", "--num-threads 0 must be at least 1"),
        ("calibrate a --data b --max-points 1.5", "--max-points 1.5 must be a whole"),
        ("inspect a --kept x", "--kept: invalid float value: 'x'"),
        ("pack a", "required: zip"),
        ("trnascribe", "no command 'trnascribe'; did you mean transcribe?"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_points_to_help(words, message, capsys):
    status, lines = some_command(words.split(), capsys)
    assert status == 2 and len(lines) == 1, lines
    command = " ".join(["blankskip", *words.split()[:1]])
    assert lines[0].startswith(("blankskip: ", f"{command}: "))
    assert message in lines[0] and lines[0].endswith("--help)")


def test_parsers_raise_and_do_not_exit():
    with pytest.raises(UsageError):
        PARSERS["inspect"]().parse_args([])
    assert issubclass(UsageError, ValueError)
    assert not issubclass(argparse.ArgumentError, UsageError)
