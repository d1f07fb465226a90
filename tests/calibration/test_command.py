"""`blankskip calibrate` measures, draws, advises, and says what it cannot use."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from search_extra import needs_search
from tiny_experiment import ENCODER_CONF, write_experiment

from espnet_blankskip.bin import asr_decode, blankskip
from espnet_blankskip.calibration import frontier
from espnet_blankskip.locks import locked

RATE = 8000
FAST = ["--timing-seconds", "0", "--spike-extension", "0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three good utterances, a missing one and one at another rate."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    lines = []
    for n, rate in enumerate([RATE, RATE, 2 * RATE, RATE]):
        # bursts, so that frames differ and some are blank
        samples = rng.normal(0, 0.1, rate) * (np.sin(np.arange(rate) / 900) > 0)
        soundfile.write(folder / f"utt{n}.wav", samples, rate)
        lines.append(f"utt{n} utt{n}.wav\n")  # relative to the list
    (folder / "wav.scp").write_text("".join(lines) + "utt4 utt4.wav\n")
    (folder / "text").write_text("".join(f"utt{n} one two\n" for n in range(5)))
    return folder


def interctc(gates=None, layers=(1, 2), **options):
    conf = dict(ENCODER_CONF, interctc_layer_idx=list(layers), **options)
    if gates:
        conf.update(gate_layers=gates)
    return conf


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """What ESPnet trains with `interctc_layer_idx`, and nothing of ours in it."""
    folder = tmp_path_factory.mktemp("exp")
    write_experiment(folder, skipping=False, encoder_conf=interctc())
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    write_experiment(folder)
    return folder


def calibrate(checkpoint, *options):
    return blankskip.main(["calibrate", str(checkpoint), *map(str, options)])


def test_process_without_transcripts_on_a_stock_checkpoint(stock, data, tmp_path):
    """As a user runs it: --data must not be taken for an option of ESPnet's."""
    out, config = tmp_path / "out", tmp_path / "conf" / "decode.yaml"
    done = subprocess.run(
        [
            sys.executable, "-m", "espnet_blankskip.bin.blankskip",
            "calibrate", str(stock), "--data", str(data / "wav.scp"),
            "--thresholds", "0.5,0.6,1.1", "--gate-layers", "1", "1,2",
            "--conv-context", "zero", "--attn-context", "kept", "--max-wer-loss",
            "1000", "--output", str(out), "--output-config", str(config), *FAST,
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "points.json").read_text())
    assert result["wer_against"] == "dense" and result["dense"]["wer"] == 0.0
    assert [layer["layer"] for layer in result["intermediate"]] == [1, 2]
    assert list(result["failed"]) == ["utt2", "utt4"]
    points = result["points"]
    tried = [(p["gate_layers"], p["blank_threshold"]) for p in points]
    assert tried == [(g, t) for g in ([1], [1, 2]) for t in (0.5, 0.6, 1.1)]
    for p in points:
        if p["blank_threshold"] > 1:
            assert (p["kept"], p["wer"]) == (100.0, 0.0), "nothing skipped, yet differs"
    assert min(p["kept"] for p in points) < 100.0

    assert "WER % against dense" in done.stdout
    assert "Left out 2 utterances: utt2, utt4" in done.stdout
    assert "1 thread of the CPU" in done.stdout
    values = yaml.safe_load(config.read_text())
    chosen = [p for p in points if p["recommended"]]
    if result["verdict"] == "skip":
        assert values["gate_layers"] == chosen[0]["gate_layers"]
        assert values["blank_threshold"] == chosen[0]["blank_threshold"]
        assert values["conv_context"] == "zero"
        assert f"convert {stock} DST --gate-layers" in done.stdout
        assert f"transcribe AUDIO --model DST --decode-config {config}" in done.stdout
        fastest = max(p["speed_up"] for p in points)
        assert chosen[0]["speed_up"] == pytest.approx(fastest, abs=0.01)
    else:  # a model this small may gain nothing on a busy machine
        assert values["mode"] == "dense" and not chosen
        assert max(p["speed_up"] for p in points) <= 1.0

    page = (out / "frontier.html").read_text()
    assert page.count('<path class="mark') == len(points)
    assert "encoder RTF: " in page  # hover values
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in page
    assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")


def test_hopeless_checkpoint_gets_a_dense_config(own, data, tmp_path, capsys):
    """Random weights against transcripts; an older advice must not survive."""
    config = tmp_path / "decode.yaml"
    config.write_text("mode: skipping\n")
    options = ["--data", data / "wav.scp", "--text", data / "text"]
    options += ["--output", tmp_path, "--output-config", config]
    options += ["--attn-context", "all", "--blank-threshold", "0.6"]
    assert calibrate(own, *options, *FAST) == 0
    printed = capsys.readouterr().out
    assert "cannot be judged: " in printed
    assert printed.index("layer 2 (intermediate)") < printed.index("cannot be judged")
    assert yaml.safe_load(config.read_text()) == {"mode": "dense", "batch_size": 1}


def test_decode_config_is_one_that_decoding_takes(own, data, tmp_path):
    """All keys of an advised config, through the decoder's own parser."""
    config = tmp_path / "decode.yaml"
    config.write_text(
        "mode: skipping\nbatch_size: 1\ngate_layers:\n- 2\nblank_threshold: 0.6\n"
        "spike_extension: 0\nconv_context: zero\nattn_context: all\n"
    )
    (tmp_path / "wav.scp").write_text(f"utt0 {data / 'utt0.wav'}\n")
    command = ["--output_dir", tmp_path, "--asr_model_file", own / "model.pth"]
    command += ["--data_path_and_name_and_type", f"{tmp_path}/wav.scp,speech,sound"]
    command += ["--config", config]
    assert asr_decode.main([str(c) for c in command]) == 0
    assert (tmp_path / "1best_recog" / "depth").read_text().startswith("utt0 ")
    wrong = [str(c) for c in command] + ["--gate_layers", "3"]
    assert asr_decode.main(wrong) == 2  # no CTC at layer 3


@pytest.mark.parametrize("kind", ["skipping", "stock"])
@needs_search
def test_suggested_commands_reproduce_the_table(
    kind, data, tmp_path, monkeypatch, capsys
):
    """Pasted into a shell as they stand, from a folder with a blank in its name."""
    monkeypatch.chdir(tmp_path)
    conf = interctc([2], layers=[2, 3]) if kind == "skipping" else interctc()
    write_experiment(Path("my exp"), skipping=kind == "skipping", encoder_conf=conf)
    Path("wav.scp").write_text(f"utt0 {data / 'utt0.wav'}\n")
    gates, threshold = ("3", "0.7") if kind == "skipping" else ("1,2", "0.6")

    def skip_so(dense, layers, points, *_):
        return frontier.Verdict(frontier.SKIP, "it is a test", points[0])

    monkeypatch.setattr(frontier, "judge", skip_so)
    options = ["--data", "wav.scp", "--timing-seconds", "0", "--output", "new dir"]
    options += ["--gate-layers", gates, "--blank-threshold", threshold]
    options += ["--spike-extension", "0", "--conv-context", "zero"]
    options += ["--attn-context", "all", "--beam-size", "2"]
    assert calibrate("my exp", *options) == 0
    point = json.loads(Path("new dir/points.json").read_text())["points"][0]
    assert 0 < point["kept"] < 100

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("blankskip ")]
    verbs = ["transcribe"] if kind == "skipping" else ["convert", "transcribe"]
    assert [command[1] for command in commands] == verbs
    commands[-1][commands[-1].index("AUDIO")] = str(data / "utt0.wav")
    commands[-1] += ["--format", "jsonl"]
    for command in commands:
        assert blankskip.main(command[1:]) == 0
    recognized = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 100 * recognized["kept"] == pytest.approx(point["kept"], abs=0.01)
    written = yaml.safe_load(Path("new dir/decode_calibrated.yaml").read_text())
    assert written["beam_size"] == 2 and written["attn_context"] == "all"


def bad(*options, **files):
    return options, files


@pytest.mark.parametrize(
    "arguments, message",
    [
        pytest.param(bad("--data", "none.scp"), "--data: no such file", id="no-data"),
        pytest.param(bad("--text", "none"), "--text: no such file", id="no-text"),
        pytest.param(bad(**{"wav.scp": ""}), "lists no utterance", id="empty-list"),
        pytest.param(
            bad(**{"wav.scp": "a none.wav\n"}), "none of 1 utterances", id="all-broken"
        ),
        pytest.param(
            bad("--text", "text", text="b one\n"),
            "has none of the utterances",
            id="other-ids",
        ),
        pytest.param(
            bad("--text", "text", text="utt0\n"), "has no word", id="empty-transcripts"
        ),
        pytest.param(bad("--gate-layers", "3"), "--gate-layers 3: this", id="gate"),
        pytest.param(bad("--gate-layers", "x"), "--gate-layers x must", id="word"),
        pytest.param(bad("--thresholds", "0.2"), "--thresholds 0.2 must", id="old"),
        pytest.param(bad("--blank-threshold", "0.9", "0.2"), "d 0.2 must", id="new"),
        pytest.param(bad("--max-utterances", "1.5"), "1.5 must be a whole", id="half"),
        pytest.param(bad("--decode-config", "d.yaml"), "--output-config", id="config"),
        pytest.param(bad("--max-wer-loss", "-1"), "--max-wer-loss", id="loss"),
        pytest.param(bad("--max-utterances", "-1"), "--max-utterances", id="count"),
        pytest.param(bad("--output", "wav.scp"), "is not a folder", id="output"),
        pytest.param(
            bad("--output-config", "."), "Is a directory: '.'", id="config-is-folder"
        ),
        pytest.param(
            bad("--output-config", "wav.scp/x.yaml"), "wav.scp", id="config-in-file"
        ),
    ],
)
def test_bad_input_is_one_line(
    own, data, tmp_path, monkeypatch, capsys, arguments, message
):
    options, files = arguments
    monkeypatch.chdir(tmp_path)
    Path("wav.scp").write_text(f"utt0 {data / 'utt0.wav'}\n")
    for name, content in files.items():
        Path(name).write_text(content)
    if "--data" not in options:
        options = ("--data", "wav.scp", *options)
    assert calibrate(own, *options) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("blankskip calibrate: ") and message in lines[-1]
    assert not Path("calibration").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        pytest.param({}, "no layer has an intermediate CTC", id="no-interctc"),
        pytest.param(
            dict(encoder="rnn"),
            "only these have a skipping form",
            id="encoder",
        ),
    ],
)
def test_checkpoint_without_a_gate_is_refused(data, tmp_path, capsys, options, message):
    write_experiment(tmp_path, skipping=False)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, **options}))
    assert calibrate(tmp_path, "--data", data / "wav.scp") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_what_cannot_be_written_is_found_before_anything_is_measured(
    own, data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        "espnet_blankskip.calibration.sweep.measure",
        lambda *_: pytest.fail("measured in vain"),
    )
    (tmp_path / "out/points.json").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for output in (tmp_path / "out", "/proc/out"):
        args = ["--data", data / "wav.scp", "--output", output, *FAST]
        assert calibrate(own, *args) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("blankskip calibrate: [Errno ")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_is_full_at_the_end_costs_no_table(
    own, data, tmp_path, monkeypatch, capsys
):
    """And few repeats or utterances are called few."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("espnet_blankskip.calibration.summary.draw_frontier", full)
    args = ["--data", data / "wav.scp", "--output", tmp_path / "out", *FAST]
    assert calibrate(own, *args, "--blank-threshold", "0.6") == 1
    captured = capsys.readouterr()
    assert "frames stop at" in captured.out
    assert "medians of 7 repeats on 1 utterances" in captured.out
    assert (
        "Caution: speed was measured on 1 of 3 utterances, too few to tell settings "
        "apart: give more --timing-seconds." in captured.out
    )
    assert "No space left on device" in captured.err.splitlines()[-1]


def test_two_calibrations_do_not_write_to_one_folder(own, data, tmp_path, capsys):
    with locked(tmp_path / "out", "somebody"):
        args = ["--data", data / "wav.scp", "--output", tmp_path / "out", *FAST]
        assert calibrate(own, *args) == 1
    assert "out is in use by somebody (process" in capsys.readouterr().err
