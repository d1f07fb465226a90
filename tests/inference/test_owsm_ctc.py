"""OWSM-CTC v4 decodes here as ESPnet decodes it, and skips where it is told to.

The model is small and random, of the real one's architecture and config keys.
"""

import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_experiment import write_experiment
from tiny_owsm import write_owsm, write_published

from espnet_blankskip.bin import blankskip
from espnet_blankskip.inference import BlankSkipSpeech2Text
from espnet_blankskip.zoo import CheckpointError
from espnet_blankskip.zoo.inspection import SKIP_NOW, describe, inspect_checkpoint

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "samples"
RATE, FRAME, LAYERS, PREFIX = 16000, 1280, 27, 2
ASKED = dict(lang_sym="<eng>", task_sym="<asr>")
GATES = dict(gate_layers=[6, 15], blank_threshold=0.5, spike_extension=0)


@pytest.fixture(scope="module")
def paths():
    found = sorted(SAMPLES.rglob("61-70968-*"))
    if len(found) < 2:
        pytest.skip(f"no LibriSpeech samples in {SAMPLES}")
    return found


@pytest.fixture(scope="module")
def speech(paths):
    return [soundfile.read(path, dtype="float32")[0] for path in paths]


@pytest.fixture(scope="module")
def lecture(speech):
    """Of a length that leaves the last buffer short, with any context."""
    return np.resize(np.concatenate(speech), 41 * RATE + 1234)


@pytest.fixture(scope="module")
def files(tmp_path_factory, speech):
    return write_owsm(tmp_path_factory.mktemp("owsm"), speech[0])


def espnet_recognizer(config_file, model_file):
    from espnet2.bin.s2t_inference_ctc import Speech2TextGreedySearch

    return Speech2TextGreedySearch(config_file, model_file, **ASKED)


@pytest.fixture(scope="module")
def theirs(files):
    return espnet_recognizer(*files)


@pytest.fixture(scope="module")
def dense(files):
    return BlankSkipSpeech2Text(*files, **ASKED)


@pytest.fixture(scope="module")
def gated(files):
    return BlankSkipSpeech2Text.from_pretrained(files[1], **ASKED, **GATES)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock kernels"])
def test_one_utterance_gives_the_tokens_that_espnet_gives(files, theirs, speech, fast):
    ours = BlankSkipSpeech2Text(*files, fast=fast)
    for samples in speech:
        _, token, token_int, text, _ = theirs(samples)[0]
        assert len(set(token_int)) > 4, "the test needs many labels"
        found = ours.best_path(samples, **ASKED)
        assert (found.token, found.token_int, found.text) == (token, token_int, text)
        assert len(found.times) == len(token)
        # the prompt's frames are no audio: no depth, no time
        assert (found.depth == LAYERS).all()
        assert len(found.depth) == pytest.approx(len(samples) / FRAME, abs=1.5)


def test_a_window_of_the_trained_length_gives_the_tokens_that_espnet_gives(
    theirs, dense, speech
):
    full = np.resize(np.concatenate(speech), 30 * RATE)
    assert dense(full).token_int == theirs(full)[0][2]
    # a shorter one is filled up with silence, whose labels are nobody's words
    padded = np.pad(speech[0], (0, 30 * RATE - len(speech[0])))
    found = dense(speech[0])
    whole = theirs(padded)[0][2]
    assert 10 < len(found.token_int) < len(whole)
    assert whole[: len(found.token_int)] == found.token_int
    assert len(found.depth) == math.ceil(len(speech[0]) / FRAME)


@pytest.mark.parametrize(
    "fast, context, size", [(True, 2.0, 1), (False, 2.0, 2), (True, 4.0, 3)]
)
def test_long_audio_in_buffers_gives_the_text_that_espnet_gives(
    files, theirs, lecture, fast, context, size
):
    ours = BlankSkipSpeech2Text(*files, fast=fast)
    options = dict(batch_size=size, context_len_in_secs=context, **ASKED)
    expected = theirs.decode_long_batched_buffered(lecture, **options)
    assert len(expected) > 60
    assert ours.decode_long_batched_buffered(lecture, **options) == expected


@pytest.mark.parametrize("seconds", [3, 26, 30.01])
def test_the_end_of_the_last_buffer_is_where_espnet_has_it(
    theirs, dense, lecture, seconds
):
    part = lecture[: round(seconds * RATE)]
    expected = theirs.decode_long_batched_buffered(part, context_len_in_secs=2.0)
    assert dense.decode_long_batched_buffered(part) == expected
    if hasattr(theirs, "decode_long"):
        assert dense.decode_long(part) == theirs.decode_long(part)


def test_our_windows_agree_with_one_pass_away_from_their_edges(dense, lecture):
    found = dense(lecture)
    assert len(found.depth) == math.ceil(len(lecture) / FRAME)
    starts = [start for start, _ in found.times]
    assert starts == sorted(starts) and starts[-1] > 35
    assert not any(word.text.startswith("<") for word in found.words)
    first = dense(lecture[: 30 * RATE])
    same = [t for t, (_, end) in zip(first.token_int, first.times) if end < 26]
    assert len(same) > 40 and found.token_int[: len(same)] == same


def test_the_prompt_is_heard_and_its_symbols_are_checked(files, dense, speech):
    asked = dense.best_path(speech[0])
    other = dense.best_path(speech[0], lang_sym="deu", task_sym="st_deu")
    assert other.token_int != asked.token_int
    bare = BlankSkipSpeech2Text(*files, lang_sym="eng", task_sym="asr")
    assert bare.best_path(speech[0]).token_int == asked.token_int
    default = BlankSkipSpeech2Text(*files)
    found = default.best_path(speech[0])
    named = default.best_path(speech[0], lang_sym="<nolang>", task_sym="<asr>")
    assert found.token_int == named.token_int != asked.token_int
    with pytest.raises(ValueError, match="lang_sym=engl: .* no <engl>.*<eng>"):
        BlankSkipSpeech2Text(*files, lang_sym="engl")
    with pytest.raises(ValueError, match="task_sym=st_fra.*<st_deu>"):
        dense.batch_decode([speech[0]], task_sym="st_fra")


@pytest.mark.parametrize("context", [0.1, 15.0, 0.0, -2.0])
def test_a_context_that_fits_no_frames_is_named(dense, lecture, context):
    with pytest.raises(ValueError, match=f"context_len_in_secs={context:g} must"):
        dense.decode_long_batched_buffered(lecture, context_len_in_secs=context)


def test_a_stock_checkpoint_skips_only_where_gates_are_named(files, dense, gated):
    assert (dense.mode, dense.can_skip) == ("dense", False)
    assert (gated.mode, gated.asr_model.encoder.gate_layers) == ("skipping", [6, 15])
    with pytest.raises(CheckpointError, match=r"gate_layers=\[7\].*6, 12, 15, 21"):
        BlankSkipSpeech2Text.from_pretrained(files[1], gate_layers=[7])
    with pytest.raises(ValueError, match=r"gate_layers names one of \[6, 12, 15, 21\]"):
        BlankSkipSpeech2Text.from_pretrained(files[1], blank_threshold=0.5)
    with pytest.raises(CheckpointError, match="transcribe --gate-layers"):
        from espnet_blankskip.zoo.conversion import convert_checkpoint
        from espnet_blankskip.zoo.conversion_plan import ConversionOptions

        convert_checkpoint(str(files[1]), "never", ConversionOptions([6]))


def test_gates_let_frames_go_and_change_nothing_at_a_threshold_above_one(
    dense, gated, speech
):
    found = gated(speech[0])
    assert set(found.depth) == {6, 15, LAYERS}, "the test needs all three depths"
    assert 0 < found.blank_prob.min() < 0.5 <= found.blank_prob.max()
    gated.set_gate(blank_threshold=1.1)
    try:
        everything = gated(speech[0])
    finally:
        gated.set_gate(blank_threshold=0.5)
    assert everything.token_int == dense(speech[0]).token_int
    assert everything.kept_ratio == 1.0


def test_skipping_fast_or_not_batched_or_not_is_one_result(
    files, gated, speech, lecture
):
    slow = BlankSkipSpeech2Text.from_pretrained(
        files[1], dtype="float64", fast=False, **ASKED, **GATES
    )
    fast = BlankSkipSpeech2Text.from_pretrained(
        files[1], dtype="float64", **ASKED, **GATES
    )
    recordings = [speech[1], lecture[: 31 * RATE]]
    one_by_one = [slow(samples) for samples in recordings]
    for results in (fast.batch_decode(recordings, batch_size=4), map(fast, recordings)):
        for expected, found in zip(one_by_one, results):
            assert found.token_int == expected.token_int
            assert np.array_equal(found.depth, expected.depth)
            assert found.times == expected.times
    assert 0.05 < one_by_one[1].kept_ratio < 0.95


def test_silence_that_fills_a_window_leaves_at_the_first_gate(gated, speech):
    """What a short clip pays for the full window ends where the gate is."""
    from espnet_blankskip.inference.batching import Window
    from espnet_blankskip.inference.window_scoring import score_windows

    window = Window(0, 0, gated.windowing.filled(speech[1]))
    (scores,), _ = score_windows(
        gated.asr_model, [window], "skipping", gated.prompt_for()
    )
    assert scores.first == -PREFIX and scores.end == 374
    assert (scores.depth[:PREFIX] == LAYERS).all(), "a prompt is never skipped"
    assert len(scores.log_probs) == int((scores.depth == LAYERS).sum())


def test_inspect_explains_it(files):
    found = inspect_checkpoint(str(files[1]))
    assert (found.task, found.verdict, found.layers) == ("s2t", SKIP_NOW, LAYERS)
    assert found.gates == [6, 12, 15, 21] and found.problems == []
    assert found.window_seconds == 30
    told = describe(found)
    assert "language and task; hears windows of 30 s" in told
    assert "transcribe --gate-layers 6" in told and "convert" not in told


@pytest.mark.parametrize(
    "change, why",
    [
        (dict(model="espnet"), "attention decoder reads every frame"),
        (dict(encoder="e_branchformer"), "prompts only e_branchformer_ctc"),
        (dict(preprocessor=None, model="espnet"), "belongs to model=espnet_ctc"),
    ],
    ids=["encoder-decoder", "other encoder", "ASR task"],
)
def test_what_is_not_owsm_ctc_is_refused_by_name(files, tmp_path, change, why):
    config = yaml.safe_load(files[0].read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, **change}))
    (tmp_path / "model.pth").write_bytes(files[1].read_bytes())
    found = inspect_checkpoint(str(tmp_path))
    assert any(why in reason for reason in found.reasons)
    with pytest.raises(ValueError):
        BlankSkipSpeech2Text.from_pretrained(tmp_path, gate_layers=[6])


def test_prompt_of_a_model_that_takes_none_is_named(tmp_path):
    files = write_experiment(tmp_path)
    with pytest.raises(ValueError, match="lang_sym=eng: this checkpoint takes no"):
        BlankSkipSpeech2Text(*files, lang_sym="eng")


PROCESS = """
import sys
from espnet_blankskip.bin.blankskip import main
status = main(sys.argv[1:])
print([m for m in sys.modules if m.startswith("espnet2.tasks")], file=sys.stderr)
sys.exit(status)
"""


def test_transcribe_takes_a_published_one_and_imports_no_task(
    files, gated, paths, speech, tmp_path
):
    packed = write_published(tmp_path / "owsm.zip", files)
    done = subprocess.run(
        [
            sys.executable, "-c", PROCESS, "transcribe",
            "--model", str(packed), "--lang", "eng",
            "--task", "asr", "--gate-layers", "6,15", "--threshold", "0.5",
            "--format", "jsonl", str(paths[0]),
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().endswith("[]"), "a task was imported"
    record = json.loads(done.stdout)
    gated.set_gate(spike_extension=1)  # the encoder's default, which nobody changed
    try:
        expected = gated(speech[0])
    finally:
        gated.set_gate(spike_extension=0)
    assert record["text"] == expected.text and record["kept"] < 1
    assert record["token_int"] == expected.token_int


def test_show_draws_it(files, paths, tmp_path, capsys):
    output = tmp_path / "depth.png"
    options = ["--lang", "eng", "--gate-layers", "6", "--threshold", "0.5"]
    command = ["show", str(paths[1]), "--model", str(files[1]), *options]
    assert blankskip.main([*command, "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert "<" not in capsys.readouterr().out.split(": ", 1)[1]


@pytest.mark.slow
def test_calibrate_measures_its_gates_and_its_advice_can_be_decoded(
    files, paths, speech, tmp_path, capsys
):
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"u{i} {path}\n" for i, path in enumerate(paths[:2])))
    out = tmp_path / "out"
    options = ["--lang", "eng", "--task", "asr", "--gate-layers", "6", "15"]
    options += ["--thresholds", "0.5", "1.1", "--spike-extensions", "0"]
    options += ["--attn-context", "all", "--max-wer-loss", "1000"]
    options += ["--timing-seconds", "0", "--output", str(out)]
    command = ["calibrate", str(files[1]), "--data", str(scp), *options]
    assert blankskip.main(command) == 0
    points = json.loads((out / "points.json").read_text())["points"]
    assert [p["gate_layers"] for p in points] == [[6], [6], [15], [15]]
    for point in points:
        assert (point["kept"] == 100.0) == (point["blank_threshold"] > 1), point
    printed = capsys.readouterr().out
    assert "convert" not in printed
    advice = yaml.safe_load((out / "decode_calibrated.yaml").read_text())
    assert advice["mode"] in ("skipping", "dense")
    assert (advice["lang_sym"], advice["task_sym"]) == ("eng", "asr")
    assert BlankSkipSpeech2Text.from_pretrained(files[1], **advice)(speech[0]).token_int


def test_a_trained_blankskip_one_keeps_its_own_gates(files, gated, tmp_path, speech):
    config = yaml.safe_load(files[0].read_text())
    config["encoder"] = "blankskip_e_branchformer_ctc"
    config["encoder_conf"].update(GATES)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "model.pth").write_bytes(files[1].read_bytes())
    found = inspect_checkpoint(str(tmp_path))
    assert (found.gate_layers, found.problems) == ([6, 15], [])
    ours = BlankSkipSpeech2Text.from_pretrained(tmp_path, **ASKED)
    assert ours.mode == "skipping"
    assert ours(speech[0]).nbest == gated(speech[0]).nbest
    # and ESPnet's own inference skips with it
    theirs = espnet_recognizer(tmp_path / "config.yaml", tmp_path / "model.pth")
    found = ours.best_path(speech[1])
    assert theirs(speech[1])[0][2] == found.token_int
    assert 0 < found.kept_ratio < 1


def test_weights_load_by_the_names_of_either_espnet(files, dense, tmp_path, speech):
    """The published ones are of 2025: ``embed.out.0`` is ``embed.out`` since."""
    state, renamed = torch.load(files[1], weights_only=True), {}
    old, new = "encoder.embed.out.0.", "encoder.embed.out."
    before, after = (old, new) if f"{old}weight" in state else (new, old)
    for name, weight in state.items():
        renamed[name.replace(before, after)] = weight
    assert set(renamed) != set(state)
    (tmp_path / "config.yaml").write_text(files[0].read_text())
    torch.save(renamed, tmp_path / "model.pth")
    ours = BlankSkipSpeech2Text.from_pretrained(tmp_path, **ASKED)
    assert ours(speech[0]).nbest == dense(speech[0]).nbest


def test_flash_attention_of_the_config_is_switched_off(files, dense):
    assert yaml.safe_load(files[0].read_text())["encoder_conf"]["use_flash_attn"]
    flags = [getattr(m, "use_flash_attn", False) for m in dense.asr_model.modules()]
    assert len(flags) > 100 and not any(flags)


@pytest.mark.slow
def test_pack_packs_it_for_the_s2t_task(files, dense, speech, tmp_path):
    target = tmp_path / "owsm.zip"
    assert blankskip.main(["pack", str(files[1].parent), str(target)]) == 0
    with zipfile.ZipFile(target) as opened:
        assert "s2t_model_file" in yaml.safe_load(opened.read("meta.yaml"))["files"]
        assert "import Speech2TextGreedySearch" in opened.read("README.md").decode()
    ours = BlankSkipSpeech2Text.from_pretrained(target, **ASKED)
    assert ours(speech[1]).nbest == dense(speech[1]).nbest
