"""`blankskip show`: a picture of what one file's frames went through."""

import logging

import matplotlib.image
import numpy as np
import pytest
import soundfile
from tiny_experiment import write_experiment

from espnet_blankskip.bin.blankskip import main
from espnet_blankskip.pictures import depth as depth_picture

RATE = 8000


@pytest.fixture(scope="module", params=[True, False], ids=["skipping", "stock"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp")
    return str(write_experiment(folder, skipping=request.param)[0].parent)


@pytest.fixture(autouse=True)
def own_log_handlers():
    """The command takes over the log, as a command may."""
    handlers = list(logging.root.handlers)
    yield
    logging.root.handlers[:] = handlers


@pytest.fixture
def audio(tmp_path):
    """A minute of noise in two channels, in which only the second one is heard."""
    path = tmp_path / "minute.wav"
    samples = np.random.default_rng(0).normal(0, 0.1, 60 * RATE)
    soundfile.write(path, np.stack([0 * samples, samples], axis=1), RATE)
    return path


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures show, beside the pictures themselves."""
    pictures = []
    draw = depth_picture.draw_depth

    def watch(picture, path):
        pictures.append(picture)
        draw(picture, path)

    monkeypatch.setattr(depth_picture, "draw_depth", watch)
    return pictures


@pytest.mark.parametrize(
    "options, begin, seconds, said",
    [
        ([], 0.0, 30.0, "0 to 30 s of 60.0 s are shown"),
        (["--start", "50"], 50.0, 10.0, None),
        (["--start", "12.5", "--end", "14"], 12.5, 1.5, None),
        (["--start", "9", "--end", "11", "--channel", "1"], 9.0, 2.0, None),
        (["--start", "58", "--end", "99"], 58.0, 2.0, None),
    ],
)
def test_the_chosen_part_is_drawn(
    options, begin, seconds, said, model, audio, drawn, tmp_path, capsys
):
    output = tmp_path / "new" / "picture.png"
    args = ["show", "--model", model, str(audio), "--output", str(output), *options]
    assert main(args) == 0
    captured = capsys.readouterr()
    (picture,) = drawn
    assert picture.begin == begin
    assert len(picture.samples) == seconds * RATE
    samples = soundfile.read(audio, dtype="float32")[0]
    part = samples[round(begin * RATE) :][: round(seconds * RATE)]
    heard = part[:, 1] if "--channel" in options else part.mean(axis=1)
    np.testing.assert_allclose(picture.samples, heard, atol=1e-6)
    assert captured.out == f"{output}: {picture.result.text}\n"
    assert said is None or said in captured.err
    pixels = matplotlib.image.imread(output)
    assert pixels.shape[:2] == (1056, 1600) and pixels.std() > 0.1


def test_words_stand_at_their_times_on_the_recordings_clock(
    model, audio, drawn, tmp_path, capsys
):
    output = str(tmp_path / "p.png")
    args = ["show", "--model", model, str(audio), "--output", output]
    assert main([*args, "--start", "40", "--end", "43"]) == 0
    figure = depth_picture.depth_figure(drawn[0])
    sound, words, depth, blank = figure.axes
    assert words.get_ylabel() == "words"
    listed = [word.text for word in drawn[0].result.words]
    assert listed and [text.get_text() for text in words.texts] == listed
    assert blank.xaxis.get_major_formatter()(1.5) == "41.5"
    heights = {patch.get_height() for patch in depth.patches}
    assert heights == ({2, 4} if drawn[0].gate_layers else {4})


def test_without_a_gate_no_blank_probability_is_made_up(model, audio, drawn, tmp_path):
    output = str(tmp_path / "p.png")
    args = ["show", "--model", model, str(audio), "--output", output, "--dense"]
    assert main([*args, "--end", "2"]) == 0
    blank = depth_picture.depth_figure(drawn[0]).axes[3]
    assert not blank.lines and "no gate was read" in blank.get_title(loc="left")


@pytest.mark.parametrize(
    "options, words",
    [
        (["--start", "60"], "minute.wav ends at 60.00 s"),
        (["--start", "-1"], "--start -1"),
        (["--start", "nan"], "--start nan"),
        (["--start", "5", "--end", "5"], "--end 5 must lie after --start 5"),
        (["--end", "301"], "by at most 300 s"),
        (["--output", "p.jpg"], "must end in .png"),
        (["--channel", "2"], "none with number 2"),
        (["--device", "abacus"], "--device abacus"),
    ],
)
def test_wrong_options_are_one_line_and_status_2(options, words, model, audio, capsys):
    assert main(["show", "--model", model, str(audio), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    *_, last = captured.err.splitlines()
    assert last.startswith("blankskip show: ") and words in last
