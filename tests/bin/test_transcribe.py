"""`blankskip transcribe` as people run it, on files as people have them."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from real_speech import SAMPLES
from search_extra import needs_search
from tiny_experiment import write_experiment

from espnet_blankskip.bin.blankskip import main

RATE = 8000
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A skipping model with random weights, which hears words in noise."""
    return str(write_experiment(tmp_path_factory.mktemp("exp"))[0].parent)


@pytest.fixture(autouse=True)
def own_log_handlers():
    """The command takes over the log, as a command may."""
    handlers = list(logging.root.handlers)
    yield
    logging.root.handlers[:] = handlers


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE))


@pytest.fixture
def audio(tmp_path):
    """Five different recordings of noise."""
    folder = tmp_path / "audio"
    folder.mkdir()
    for i in range(5):
        soundfile.write(folder / f"n{i}.wav", noise(1 + i / 2, seed=i), RATE)
    return folder


@pytest.fixture
def awkward(tmp_path):
    """Files that cannot be used, among some that can; the reasons by name."""
    folder = tmp_path / "awkward"
    folder.mkdir()
    good = noise(1.5)
    fast = np.repeat(good, 6)
    soundfile.write(folder / "16-bit.wav", good, RATE)
    soundfile.write(folder / "24-bit.wav", good, RATE, subtype="PCM_24")
    soundfile.write(folder / "float.wav", good, RATE, subtype="FLOAT")
    soundfile.write(folder / "48 kHz.wav", fast, 6 * RATE)
    soundfile.write(folder / "48 kHz b.flac", fast, 6 * RATE)
    soundfile.write(folder / "six.wav", np.stack([good] * 6, axis=1), RATE)
    soundfile.write(folder / "silence.wav", np.zeros(60 * RATE), RATE)
    soundfile.write(folder / "one.wav", good[:1], RATE)
    soundfile.write(folder / "nothing.wav", good[:0], RATE)
    soundfile.write(folder / "nan.wav", good * np.nan, RATE, subtype="FLOAT")
    (folder / "zero.wav").touch()
    cut = (folder / "16-bit.wav").read_bytes()[:999]
    (folder / "cut.wav").write_bytes(cut)
    (folder / "junk.wav").write_bytes(bytes(range(256)) * 9)
    (folder / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(9000))
    return folder, {
        "one": "too short",
        "nothing": "0 samples",
        "nan": "NaN",
        "zero": "0 bytes",
        "cut": "truncated",
        "junk": "cannot be read as audio",
        "film": "is MP4",
        "missing": "no such audio file",
    }


def texts(stdout):
    return dict(line.split("\t") for line in stdout.splitlines())


def command(*args, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "espnet_blankskip.bin.blankskip", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_bad_files_are_named_and_nothing_needless_is_imported(model, awkward):
    """One process for both, as each takes seconds."""
    folder, reasons = awkward
    code = (
        "import sys\n"
        "from espnet_blankskip.bin.blankskip import main\n"
        "status = main(sys.argv[1:])\n"
        "print('imported', *sys.modules, file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    extra = [folder / "film.mp4", folder / "missing.wav"]
    done = subprocess.run(
        [sys.executable, "-c", code, "transcribe", "--model", model, folder, *extra],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    *lines, imported = done.stderr.splitlines()
    assert all(line.startswith("blankskip transcribe: ") for line in lines)
    lines = [line.removeprefix("blankskip transcribe: ") for line in lines]

    found = texts(done.stdout)
    good = {"16-bit", "24-bit", "float", "48 kHz", "48 kHz b", "six", "silence"}
    assert set(found) == good
    assert found["16-bit"] and found["16-bit"] == found["24-bit"] == found["float"]
    assert found["six"] == found["16-bit"]
    for name, why in reasons.items():
        about = [line for line in lines if line.startswith(f"'{name}': ")]
        assert len(about) == 1 and why in about[0], (name, lines)
    assert sum("resampled" in line for line in lines) == 1
    assert sum("6 channels" in line for line in lines) == 1
    assert "transcribed 7 of 15" in lines[-1] and "failed 8: " in lines[-1]
    assert len(lines) == len(reasons) + 3

    needless = {"espnet2.tasks.asr", "nltk", "g2p_en", "scipy.signal", "numba"}
    assert not needless & set(imported.split())


def test_a_killed_run_is_continued_and_loses_or_doubles_nothing(model, tmp_path):
    names = [f"u{i:03}" for i in range(120)]
    soundfile.write(tmp_path / "a.wav", noise(3), RATE)
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"{name} {tmp_path}/a.wav\n" for name in names))
    output = tmp_path / "out.jsonl"
    args = [
        "transcribe",
        "--model",
        model,
        "--format",
        "jsonl",
        "--output",
        output,
        scp,
    ]
    process = command(*args)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if output.exists() and output.read_bytes().count(b"\n") >= 5:
            break
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = output.read_bytes()
    assert 5 <= before.count(b"\n") < len(names), "it was not killed half-way"
    output.write_bytes(before + b'{"id": "u119", "te')  # and a line half-written

    assert main(list(map(str, args))) == 0
    after = output.read_bytes()
    assert after.startswith(before)
    rows = [json.loads(line) for line in after.splitlines()]
    assert [row["id"] for row in rows] == names
    assert len({row["text"] for row in rows}) == 1


def test_pipes_odd_names_and_odd_headers_are_heard_and_counted(model, tmp_path):
    """One process for all, through a shell, as that is where pipes come from."""
    folder = tmp_path / "audio"
    folder.mkdir()
    soundfile.write(folder / "plain.wav", noise(1.5), RATE)
    content = bytearray((folder / "plain.wav").read_bytes())
    size = content.index(b"data") + 4
    for name, announced in (("a", 0), ("b", 24000 + 44), ("c", 24000 + 726)):
        content[size : size + 4] = announced.to_bytes(4, "little")
        (folder / f"{name}.wav").write_bytes(content)
    soundfile.write(folder / "phone.wav", noise(1.5), RATE, subtype="GSM610")
    odd = os.path.join(os.fsencode(folder), b"caf\xe9.wav")
    Path(os.fsdecode(odd)).write_bytes((folder / "plain.wav").read_bytes())
    (folder / "phone.m4a").write_bytes(b"twin of phone.wav")
    (folder / "talk.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(99))
    blankskip = f"{sys.executable} -m espnet_blankskip.bin.blankskip transcribe"
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"cat {folder}/plain.wav | {blankskip} --model {model} --format jsonl "
            f"{folder} /dev/stdin <(cat {folder}/plain.wav)",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    rows = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    pipes = {name for name in rows if name.isdigit()}
    assert set(rows) - pipes == {"plain", "a", "b", "c", "phone", "caf?", "stdin"}
    assert len(pipes) == 1
    texts = {row["text"] for name, row in rows.items() if name != "phone"}
    assert len(texts) == 1 and "" not in texts and rows["phone"]["text"]
    assert [name for name, row in rows.items() if "warnings" in row] == ["a", "b", "c"]
    *_, failure, summary = done.stderr.splitlines()
    assert "'talk': is MP4" in failure and "ffmpeg" in failure
    assert "transcribed 8 of 9" in summary and "in 2: the header announces" in summary
    assert "in 1: the header gives a length of 0" in summary
    assert done.stderr.count("the header announces") == 2, "once, and in the summary"


def test_a_pipe_cannot_be_shared_by_processes(model, audio, tmp_path, capsys):
    os.mkfifo(tmp_path / "fifo")
    args = ["transcribe", "--model", model, "--jobs", "2", str(audio)]
    assert main([*args, str(tmp_path / "fifo")]) == 2
    assert "fifo is a pipe, which --jobs 2 cannot share" in capsys.readouterr().err


def workers_of(pid):
    """Decoding processes of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def cpu_time(pid):
    """Clock ticks that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_process_that_dies_before_it_decodes_costs_nothing(model, audio):
    process = command("transcribe", "--model", model, "--jobs", 2, audio)
    deadline = time.monotonic() + 60
    while len(workers := workers_of(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(workers[1], signal.SIGKILL)  # seconds before it has imported torch
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "died while it loaded the model (SIGKILL" in stderr and "1 go on" in stderr
    assert len(texts(stdout)) == 5


def test_a_process_that_dies_costs_one_file(model, tmp_path):
    names = [f"u{i:03}" for i in range(60)]
    soundfile.write(tmp_path / "a.wav", noise(25), RATE)
    scp, output = tmp_path / "wav.scp", tmp_path / "out.txt"
    scp.write_text("".join(f"{name} {tmp_path}/a.wav\n" for name in names))
    args = ["transcribe", "--model", model, "--output", output, "--jobs", 2, scp]
    process = command(*args)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if output.exists() and output.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.01)
    # of two processes the one that has done more is certainly decoding
    os.kill(max(workers_of(process.pid), key=cpu_time), signal.SIGKILL)
    _, stderr = process.communicate()
    assert process.returncode == 1, stderr
    dead = [line for line in stderr.splitlines() if "SIGKILL" in line]
    assert len(dead) == 1
    assert "transcribed 59 of 60" in stderr and "failed 1: u" in stderr
    found = texts(output.read_text())
    assert len(found) == len(output.read_text().splitlines()) == 59
    assert main(list(map(str, args))) == 0
    assert sorted(texts(output.read_text())) == names


@pytest.mark.parametrize("name", ["text", "jsonl", "srt", "vtt", "espnet"])
def test_formats_tell_the_same(name, model, audio, tmp_path, capsys):
    assert main(["transcribe", "--model", model, str(audio)]) == 0
    expected = texts(capsys.readouterr().out)
    assert sorted(expected) == [f"n{i}" for i in range(5)] and any(expected.values())
    output = tmp_path / "out"
    args = ["transcribe", "--model", model, "--format", name, "--output", str(output)]
    for again in ("transcribed 5 of 5", "5 of 5 are there already"):
        assert main([*args, str(audio)]) == 0
        assert again in capsys.readouterr().err
    if name == "text":
        found = texts(output.read_text())
    elif name == "jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        found = {row["id"]: row["text"] for row in rows}
        for row in rows:
            assert " ".join(word["text"] for word in row["words"]) == row["text"]
            assert all(
                0 <= w["start"] < w["end"] <= row["seconds"] for w in row["words"]
            )
            assert all(0 <= w["confidence"] <= 1 for w in row["words"])
            assert 0 <= row["kept"] <= 1
            assert len(row["token"]) == len(row["token_int"])
    elif name == "espnet":
        lines = (output / "1best_recog/text").read_text().splitlines()
        found = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}
    else:
        found = {}
        for path in output.iterdir():
            lines = path.read_text().replace("&lt;", "<").replace("&gt;", ">")
            said = [
                line
                for line in lines.splitlines()
                if line not in ("", "WEBVTT") and "-->" not in line
                and not line.isdigit()
            ]  # fmt: skip
            found[path.stem] = " ".join(said)
    assert found == expected


@pytest.mark.parametrize(
    "options, layers",
    [
        ([], "some"),
        (["--mode", "dense"], "all"),
        (["--dense"], "all"),  # as earlier versions called it
        (["--intermediate"], "none"),
        (["--blank-threshold", "2"], "all"),
        (["--threshold", "2"], "all"),
        (["--gate-layers", "2"], "some"),
        (["--dtype", "float64"], "some"),
    ],
)
def test_depth_options_reach_the_encoder(options, layers, model, audio, capsys):
    args = ["transcribe", "--model", model, "--format", "jsonl", *options]
    assert main([*args, str(audio)]) == 0
    kept = [json.loads(x)["kept"] for x in capsys.readouterr().out.splitlines()]
    if layers == "some":
        assert any(0 < share < 1 for share in kept), kept
    else:
        assert set(kept) == {1.0 if layers == "all" else 0.0}


@needs_search
def test_nbest_and_standard_input(model, audio, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", [f"{audio}/n1.wav\n", f"{audio}/n0.wav\n"])
    args = ["transcribe", "--model", model, "--beam-size", "4", "--nbest", "3"]
    assert main([*args, "--format", "jsonl", "-"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == ["n1", "n0"]
    for row in rows:
        scores = [other["score"] for other in row["nbest"]]
        assert 1 < len(scores) <= 3 and scores == sorted(scores, reverse=True)
        assert row["nbest"][0]["text"] == row["text"]


def test_a_full_disk_is_one_line_and_the_rest_comes_later(
    model, audio, tmp_path, capsys
):
    output = tmp_path / "out.jsonl"
    args = ["transcribe", "--model", model, "--format", "jsonl", "--output"]
    args += [str(output), str(audio)]
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert main(args) == 0
    whole = output.read_bytes()
    room = sum(map(len, whole.splitlines(keepends=True)[:4])) + 20
    assert room > next(tmp_path.glob(".*.made_of.json")).stat().st_size
    output.unlink()
    capsys.readouterr()
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, old[1]))
    try:
        assert main(args) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "cannot write the output: " in lines[0]
    assert "4 of 5 are done" in lines[0]
    assert output.read_bytes() == b"".join(whole.splitlines(keepends=True)[:4])
    assert main(args) == 0
    assert output.read_bytes() == whole


@pytest.mark.parametrize(
    "options, words",
    [
        (["--blank-threshold", "0.3"], "--blank-threshold 0.3 must be at least 0.5"),
        (["--threshold", "0.3"], "--threshold 0.3 must be at least 0.5"),
        (["--gate-layers", "3"], "--gate-layers 3 must be chosen from [2]"),
        (["--beam-size", "0"], "--beam-size 0 must be at least 1"),
        (["--beam", "1.5"], "--beam 1.5 must be a whole number"),
        (["--nbest", "0"], "--nbest 0 must lie in 1..1 for --beam-size 1"),
        (["--lm-weight", "0.3"], "--lm-weight 0.3 needs --lm-file"),
        (["--word-score", "1"], "--word-score 1 needs a lexicon"),
        (["--overwrite"], "--overwrite: there is nothing to write anew without"),
        (
            ["--dense", "--threshold", "0.9"],
            "--threshold would have no effect with --d",
        ),
        (["--dense", "--intermediate"], "--intermediate and --dense cannot be given"),
        (["--mode", "deep"], "--mode deep must be one of: skipping, dense"),
        pytest.param(["--lm", "nowhere.arpa"], "nowhere.arpa", marks=needs_search),
        (["--device", "abacus"], "--device abacus"),
        (["--channel", "-1"], "--channel -1 must"),
        (["--jobs", "0"], "--jobs 0"),
        (["--jobs", "2", "--threshold", "0.3"], "--threshold 0.3"),
        (["--format", "srt"], "--output DIR"),
        (["--model", "no/where/x"], "no/where/x"),
        (["no.scp"], "no.scp"),
    ],
)
def test_wrong_options_are_one_line_and_status_2(options, words, model, audio, capsys):
    args = ["transcribe", "--model", model, str(audio), *options]
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("blankskip transcribe: ")
    assert words in lines[0]


@pytest.mark.parametrize("name", ["text", "jsonl", "srt", "espnet"])
def test_a_wrong_model_leaves_no_new_output(name, audio, tmp_path, capsys):
    output = tmp_path / "new" / "out"
    words = ["transcribe", "--model", f"{tmp_path}/no.pth", str(audio)]
    assert main([*words, "--format", name, "--output", str(output)]) == 2
    assert "no.pth: no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [audio]


def test_a_wrong_model_leaves_the_output_alone(audio, tmp_path):
    output = tmp_path / "out.txt"
    output.write_text("n0\told\n")
    args = ["transcribe", "--model", "no/where/x", "--output", str(output)]
    assert main([*args, "--overwrite", str(audio)]) == 2
    assert output.read_text() == "n0\told\n"
    assert list(tmp_path.glob(".*")) == []


def test_real_recordings_of_other_rates_and_formats(model, capsys):
    """What a random model hears is nonsense; that it hears is the point."""
    if not SAMPLES.is_dir():
        pytest.skip(f"no recordings in {SAMPLES}")
    assert (
        main(["transcribe", "--model", model, "--format", "jsonl", str(SAMPLES)]) == 0
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 5
    for row in rows:
        sound = soundfile.info(row["path"])
        assert row["seconds"] == pytest.approx(sound.duration, abs=0.01)


@pytest.mark.parametrize("name", ["text", "jsonl", "srt", "espnet"])
def test_another_file_of_the_same_name_is_not_taken_for_done(
    name, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for i, folder in enumerate(("r1", "r2")):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "talk.wav", noise(1, seed=i), RATE)
    args = ["transcribe", "--model", model, "--format", name, "--output", "out"]
    assert main([*args, "r1/talk.wav"]) == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main([*args, "r2/talk.wav"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"has 'talk' of {tmp_path}/r1/talk.wav, not of {tmp_path}/r2/" in line
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert main([*args, "r1/../r1/talk.wav"]) == 0
    assert "1 of 1 are there already" in capsys.readouterr().err
    assert main([*args, "r2/talk.wav", "--overwrite"]) == 0
    assert "transcribed 1 of 1" in capsys.readouterr().err
    assert main([*args, "r2/talk.wav"]) == 0
    assert "1 of 1 are there already" in capsys.readouterr().err


@needs_search
def test_going_on_with_other_options_is_said(model, audio, tmp_path, capsys):
    output = tmp_path / "out.txt"
    args = ["transcribe", "--model", model, "--output", str(output)]
    assert main([*args, "--beam", "2", str(audio / "n0.wav")]) == 0
    capsys.readouterr()
    assert main([*args, "--nbest", "2", "--beam", "4", str(audio)]) == 0
    line, *_ = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "was begun with other options, which what is there keeps: "
        "beam_size 2, now 4; nbest not given, now 2"
    )
    hidden = next(tmp_path.glob(".*.made_of.json"))
    hidden.unlink()
    assert main([*args, str(audio)]) == 0
    assert "5 of these names is not on record" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["audio.wav", "list.scp", "link"])
@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_an_output_is_never_an_input(name, options, model, tmp_path, capsys):
    soundfile.write(tmp_path / "audio.wav", noise(1), RATE)
    (tmp_path / "list.scp").write_text(f"a {tmp_path}/audio.wav\n")
    (tmp_path / "link").symlink_to(tmp_path / "audio.wav")
    before = [(p, p.read_bytes()) for p in sorted(tmp_path.iterdir())]
    args = ["transcribe", "--model", model, str(tmp_path / "list.scp")]
    assert main([*args, "--output", str(tmp_path / name), *options]) == 2
    assert "is one of the inputs: " in capsys.readouterr().err
    assert [(p, p.read_bytes()) for p in sorted(tmp_path.iterdir())] == before


def test_two_calls_do_not_write_to_one_output(model, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(25), RATE)
    scp, output = tmp_path / "wav.scp", tmp_path / "out.txt"
    scp.write_text("".join(f"u{i:03} {tmp_path}/a.wav\n" for i in range(400)))
    first = command("transcribe", "--model", model, "--output", output, scp)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.lock")) and time.monotonic() < deadline:
        time.sleep(0.01)
    second = command("transcribe", "--model", model, "--output", output, scp)
    stdout, stderr = second.communicate()
    assert second.returncode != 0 and first.poll() is None
    (line,) = stderr.splitlines()
    who = f"{output} is in use by blankskip transcribe (process {first.pid} on "
    assert who in line
    first.kill()
    first.communicate()
    args = ["transcribe", "--model", model, "--output", output, tmp_path / "a.wav"]
    assert main(list(map(str, args))) == 0
    ids = [line.split("\t")[0] for line in output.read_text().splitlines()]
    assert len(ids) == len(set(ids)) and ids[-1] == "a"


def test_devices_and_pipes_take_what_standard_output_would(
    model, audio, tmp_path, capsys
):
    args = ["transcribe", "--model", model, str(audio / "n0.wav")]
    assert main(args) == 0
    printed = capsys.readouterr().out
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    for output in ("/dev/null", str(tmp_path / "pipe")):
        assert main([*args, "--output", output]) == 0
    assert reader.communicate()[0].decode() == printed
    for full in (["--output", "/dev/full"], []):
        done = subprocess.run(
            [sys.executable, "-m", "espnet_blankskip.bin.blankskip", *args, *full],
            stdout=open("/dev/full", "w"),
            stderr=subprocess.PIPE,
            text=True,
        )
        line = done.stderr.splitlines()[-1]
        assert "No space left on device; 0 of 1 are done" in line
        assert "Exception" not in done.stderr
        assert done.returncode == 1
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_decoding_processes_end_with_a_call_that_is_stopped(how, model, tmp_path):
    """While they load, and in one line; they are seconds from asking for work."""
    soundfile.write(tmp_path / "a.wav", noise(1), RATE)
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"u{i} {tmp_path}/a.wav\n" for i in range(9)))
    call = command(
        *("transcribe", "--model", model, "--jobs", 2, scp), start_new_session=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        workers = workers_of(call.pid)
        # multiprocessing's own first steps complain of a parent that is gone
        if len(workers) == 2 and min(map(cpu_time, workers)) > 50:
            break
        time.sleep(0.01)
    if how == signal.SIGINT:  # of a terminal, which all of its processes get
        os.killpg(call.pid, how)
        assert call.wait() == 130
    else:
        call.kill()
    stdout, stderr = call.communicate()  # until they have closed theirs
    assert not [w for w in workers if Path(f"/proc/{w}").exists() and w in running()]
    assert "Traceback" not in stderr
    assert stdout == ""
    lines = [line for line in stderr.splitlines() if line.startswith("blankskip")]
    assert len(lines) == (1 if how == signal.SIGINT else 0)


def running():
    """Processes that are no zombies."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found
