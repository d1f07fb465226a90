"""Results are kept by command, and the report is drawn from what is kept."""

import importlib
import shlex

import pytest

from benchmarks import __main__ as runner
from benchmarks import report
from benchmarks.results import number, publish, read_results

ENCODER_ROWS = [
    {"encoder": "dense", "audio": "5 s", "kept": "", "speed-up": "1.50x"},
    {"encoder": "skipping", "audio": "5 s", "kept": "30%", "speed-up": "2.10x"},
]
DECODE_ROWS = [
    {"decoding": name, "WER %": "2.0", "RTF": rtf, "speed-up": "3.0x"}
    for name, rtf in (("asr_inference, beam 10", "0.3"), ("ours, dense", "0.02"))
]
LONG_ROWS = [
    {"audio": audio, "against 1 min": "1.00x", "of 1 min": "1.05x"}
    for audio in ("10 s", "1 min", "60 min")
]
ABOUT = {"encoder": "CPU; 12 x 512, gate after 6", "decode": "CPU; x, 500 tokens, 3 s"}
ROWS = {"encoder": ENCODER_ROWS, "decode": DECODE_ROWS, "long_audio": LONG_ROWS}


def keep(folder, case, rows, argv=()):
    publish(case, rows, list(rows[0]), ABOUT.get(case, "CPU"), argv, folder)


def test_a_result_is_replaced_by_one_of_the_same_command(tmp_path):
    keep(tmp_path, "encoder", [{"a": "1"}], ["--save", str(tmp_path), "--batch", "2"])
    keep(tmp_path, "encoder", [{"a": "2"}], ["--batch", "3"])
    keep(tmp_path, "encoder", [{"a": "3"}], ["--batch", "2", "--save", "elsewhere"])
    kept = read_results(tmp_path)
    assert [r.rows for r in kept] == [[{"a": "2"}], [{"a": "3"}]]
    assert kept[1].command == "python -m benchmarks encoder --batch 2"
    assert kept[1].markdown() == "| a |\n|---|\n| 3 |"


@pytest.mark.parametrize("cases", [["encoder"], ["decode", "long_audio"], list(ROWS)])
def test_the_report_holds_every_table_its_command_and_a_picture(tmp_path, cases):
    for case in cases:
        keep(tmp_path, case, ROWS[case], ["--threads", "2"])
    assert runner.main(["report", str(tmp_path), "--draw-only"]) == 0
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for case in cases:
        assert f"`python -m benchmarks {case} --threads 2`" in page
        assert " | ".join(ROWS[case][0].values()) in page
    assert (tmp_path / "speed.png").stat().st_size > 10_000


def test_only_what_is_missing_is_measured(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(report, "SUITE", {"encoder": ("", "--batch 2"), "joint": ("",)})
    monkeypatch.setattr(
        report.subprocess, "call", lambda words: called.append(words) or len(called) - 1
    )
    keep(tmp_path, "encoder", ENCODER_ROWS)
    assert runner.main(["report", str(tmp_path)]) == 1  # the second one failed
    assert [shlex.join(words[3:]) for words in called] == [
        f"encoder --batch 2 --save {tmp_path}",
        f"joint --save {tmp_path}",
    ]
    assert "failed: python -m benchmarks joint" in capsys.readouterr().out


def test_nothing_measured_is_no_report(tmp_path):
    assert runner.main(["report", str(tmp_path), "--draw-only"]) == 1
    assert not (tmp_path / "README.md").exists()


def test_every_command_of_the_set_can_be_parsed():
    for suite in (report.SUITE, report.GPU_SUITE):
        for case, arguments in suite.items():
            assert case in report.ABOUT and case in runner.CASES
            parser = importlib.import_module(f"benchmarks.{case}").get_parser()
            for words in map(shlex.split, arguments):
                parser.parse_args(words)  # exits where an option is unknown


@pytest.mark.parametrize("cell, value", [("1.83x", 1.83), ("30%", 30), ("0.01", 0.01)])
def test_cells_are_read_as_numbers(cell, value):
    assert number(cell) == value
