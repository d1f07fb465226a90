"""Stages 1 to 4 on small real files: what is kept, dropped, converted and reused."""

import numpy as np
import pytest
import soundfile
from odd_audio import GSM_BLOCK, write_odd_files, write_unusable_files
from recipe_folder import RATE, SETS, make_data, tone

from espnet_blankskip.kaldi.lists import read_table, write_rows
from espnet_blankskip.recipe.__main__ import main

OPTIONS = ["--train_set", SETS[0], "--valid_set", SETS[1], "--test_sets", SETS[2]]
OPTIONS += ["--fs", "8k", "--nj", "2"]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_data(tmp_path)
    return tmp_path


def run(*extra):
    return main([*OPTIONS, "--stage", "2", "--stop_stage", "4", *extra])


def replace_audio(path, content):
    """Put something else in place of a good wav file."""
    kind, value = content
    if kind == "samples":
        soundfile.write(path, value, RATE, subtype="FLOAT")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:value])
    elif kind == "bytes":
        path.write_bytes(value)
    else:
        path.unlink()


NAN = np.where(np.arange(RATE) == 5, np.nan, tone(1.0))
BAD_AUDIO = {
    "missing": ("missing", None),
    "0 bytes": ("bytes", b""),
    "not audio": ("bytes", b"this is no audio file at all" * 9),
    "truncated": ("cut", 4000),
    "no samples": ("samples", np.zeros(0)),
    "NaN": ("samples", NAN),
    "stereo": ("samples", np.stack([tone(1.0)] * 2, axis=1)),
    "too short": ("samples", tone(0.05)),
    "too long": ("samples", tone(21.0)),
}


@pytest.mark.parametrize("case", BAD_AUDIO)
def test_bad_audio_is_named_counted_and_the_rest_goes_on(case, recipe, capsys):
    victim = f"spk1-{SETS[0]}-1"
    replace_audio(recipe / f"data/{SETS[0]}/wav/{victim}.wav", BAD_AUDIO[case])
    assert run() == 0
    out = capsys.readouterr().out
    assert out.count(f"dropped {victim}: ") == 1
    kept = read_table(recipe / f"dump/raw/{SETS[0]}/wav.scp")
    assert len(kept) == 3 and victim not in kept
    assert f"dump/raw/{SETS[0]}: 3 utterances kept" in out
    assert len(read_table(recipe / f"dump/raw/{SETS[1]}/wav.scp")) == 4
    assert victim in read_table(recipe / f"dump/raw/{SETS[0]}/dropped")
    for name in ("text", "utt2spk", "utt2num_samples"):
        assert read_table(recipe / f"dump/raw/{SETS[0]}/{name}").keys() == kept.keys()


def test_lists_that_disagree_are_put_right(recipe, capsys):
    data = recipe / "data" / SETS[0]
    texts = read_table(data / "text")
    ids = list(texts)
    texts[ids[0]] = ""
    del texts[ids[1]]
    texts["spk9-nowhere"] = "one"
    write_rows(data / "text", texts.items())
    assert run() == 0
    out = capsys.readouterr().out
    for utt_id, reason in (
        (ids[0], "transcript is empty"),
        (ids[1], "has no transcript"),
        ("spk9-nowhere", "has a transcript and no audio"),
    ):
        assert f"dropped {utt_id}: {reason}" in out
    assert list(read_table(recipe / f"dump/raw/{SETS[0]}/text")) == ids[2:]


@pytest.mark.parametrize(
    "name", ["wav.scp", "text", "utt2spk", "segments", "utt2num_samples"]
)
def test_an_id_listed_twice_is_refused_by_name(recipe, capsys, name):
    data = recipe / "data" / SETS[0]
    utt_id = f"spk0-{SETS[0]}-0"
    with (data / name).open("a") as lines:
        lines.write(f"{utt_id} {utt_id} 0 1\n" * 2)
    assert run() == 1
    *_, error = capsys.readouterr().err.splitlines()
    assert f"data/{SETS[0]}/{name}, line " in error
    assert f"'{utt_id}' is listed twice" in error


def test_unusable_files_of_every_kind_cost_themselves(recipe, capsys):
    ids = [f"spk{i % 2}-{SETS[0]}-{9 + i}" for i in range(9)]
    paths = write_unusable_files(recipe, tone(1.0), RATE).values()
    for name, values in (
        ("wav.scp", paths),
        ("text", ["one"] * 9),
        ("utt2spk", "a" * 9),
    ):
        with (recipe / "data" / SETS[0] / name).open("a") as lines:
            lines.writelines(f"{u} {v}\n" for u, v in zip(ids, values))
    assert run() == 0
    assert len(read_table(recipe / f"dump/raw/{SETS[0]}/wav.scp")) == 4
    dropped = read_table(recipe / f"dump/raw/{SETS[0]}/dropped")
    assert set(ids[: len(paths)]) <= set(dropped)


def test_files_that_espnet_would_not_read_whole_are_written_anew(recipe):
    ids = list(read_table(recipe / f"data/{SETS[0]}/wav.scp"))[:3]
    odd = write_odd_files(recipe, tone(1.0), RATE).values()
    scp = recipe / f"data/{SETS[0]}/wav.scp"
    write_rows(scp, {**read_table(scp), **dict(zip(ids, map(str, odd)))}.items())
    (recipe / f"data/{SETS[0]}/utt2num_samples").unlink(missing_ok=True)
    assert run() == 0
    paths = read_table(recipe / f"dump/raw/{SETS[0]}/wav.scp")
    for utt_id in ids:
        assert RATE <= len(soundfile.read(paths[utt_id])[0]) <= RATE + GSM_BLOCK
    assert len(paths) == 4


@pytest.mark.parametrize(
    "utt_id", ["a/b", "../../a", "/a", ".", "x" * 252, "\u00e4" * 200], ids=len
)
def test_any_id_names_a_file(recipe, utt_id):
    data = recipe / "data" / SETS[0]
    for name in ("wav.scp", "text", "utt2spk"):
        rows = read_table(data / name)
        rows[utt_id] = rows.pop(f"spk0-{SETS[0]}-0")
        write_rows(data / name, rows.items())
    assert run("--fs", "16k", "--speed_perturb_factors", "0.9 1.0") == 0
    paths = read_table(recipe / f"dump/raw/{SETS[0]}_sp/wav.scp")
    assert len(set(paths.values())) == len(paths) == 8
    folder = recipe / f"dump/raw/org/{SETS[0]}_sp/data/format.1"
    for copy in (utt_id, f"sp0.9-{utt_id}"):
        path = recipe / paths[copy]
        assert path.resolve().parent == folder
        assert soundfile.info(path).samplerate == 16000


def test_a_set_with_nothing_left_stops_the_run(recipe, capsys):
    for path in (recipe / "data" / SETS[1] / "wav").iterdir():
        path.write_bytes(b"")
    assert run() == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"dump/raw/org/{SETS[1]} has no utterances left" in error


def test_test_sets_keep_long_and_short_utterances(recipe):
    utt_id = f"spk0-{SETS[2]}-0"
    soundfile.write(recipe / f"data/{SETS[2]}/wav/{utt_id}.wav", tone(21.0), RATE)
    assert run() == 0
    assert utt_id in read_table(recipe / f"dump/raw/{SETS[2]}/wav.scp")


def test_audio_stays_where_it_is_unless_the_rate_differs(recipe):
    assert run() == 0
    before = read_table(recipe / f"data/{SETS[0]}/wav.scp")
    assert read_table(recipe / f"dump/raw/{SETS[0]}/wav.scp") == before
    assert run("--fs", "16k", "--audio_format", "wav") == 0
    for utt_id, path in read_table(recipe / f"dump/raw/{SETS[0]}/wav.scp").items():
        audio, rate = soundfile.read(path)
        original, _ = soundfile.read(before[utt_id])
        assert rate == 16000
        assert len(audio) == 2 * len(original)
        # The tone is still the same tone: its strongest frequency is 440 Hz.
        peak = np.abs(np.fft.rfft(audio)).argmax() * rate / len(audio)
        assert abs(peak - 440) < 2


def test_segments_are_cut_out(recipe):
    data = recipe / "data" / SETS[0]
    names = list(read_table(data / "wav.scp"))
    segments = [
        (names[0], f"{names[0]} 0.25 0.75"),
        (names[1], f"{names[1]} 0.5 -1"),
        (names[2], "nowhere 0 1"),
        (names[3], f"{names[3]} 7 8"),
    ]
    write_rows(data / "segments", segments)
    assert run() == 0
    samples = read_table(recipe / f"dump/raw/{SETS[0]}/utt2num_samples")
    length = soundfile.info(data / "wav" / f"{names[1]}.wav").frames
    assert samples == {names[0]: "4000", names[1]: str(length - 4000)}


def test_speed_perturbation_changes_length_and_names(recipe):
    assert run("--speed_perturb_factors", "0.8 1.0 1.25") == 0
    samples = read_table(recipe / f"dump/raw/{SETS[0]}_sp/utt2num_samples")
    assert len(samples) == 12
    plain = int(samples[f"spk0-{SETS[0]}-0"])
    assert int(samples[f"sp0.8-spk0-{SETS[0]}-0"]) == pytest.approx(plain / 0.8, abs=2)
    assert int(samples[f"sp1.25-spk0-{SETS[0]}-0"]) == pytest.approx(
        plain / 1.25, abs=2
    )
    speakers = read_table(recipe / f"dump/raw/{SETS[0]}_sp/utt2spk")
    assert speakers[f"sp0.8-spk0-{SETS[0]}-0"] == "sp0.8-spk0"


def test_reuse_leaves_finished_sets_alone_and_sees_changes(recipe, capsys):
    assert run("--reuse", "true") == 0
    assert "done already" not in capsys.readouterr().out
    assert run("--reuse", "true") == 0
    out = capsys.readouterr().out
    for stage, folder in ((3, "dump/raw/org"), (4, "dump/raw")):
        for name in SETS:
            assert f"Stage {stage}: done already ({folder}/{name})" in out
    text = recipe / f"data/{SETS[0]}/text"
    text.write_text(text.read_text().replace("two", "three"))
    assert run("--reuse", "true") == 0
    out = capsys.readouterr().out
    assert f"done already (dump/raw/{SETS[0]})" not in out
    assert f"done already (dump/raw/{SETS[1]})" in out
    assert "three" in (recipe / f"dump/raw/{SETS[0]}/text").read_text()


def test_without_reuse_a_stage_is_run_again(recipe, capsys):
    assert run() == 0
    assert run() == 0
    assert "done already" not in capsys.readouterr().out


def test_an_interrupted_stage_is_not_taken_for_done(recipe, capsys, monkeypatch):
    from espnet_blankskip.recipe.stages import audio

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(audio, "write_lists", interrupted)
        assert run("--reuse", "true") == 130
    assert not (recipe / f"dump/raw/org/{SETS[0]}").exists()
    assert run("--stage", "4") == 1
    assert "run stages 1-3 first" in capsys.readouterr().err
    assert run("--reuse", "true") == 0
    assert len(read_table(recipe / f"dump/raw/{SETS[0]}/wav.scp")) == 4
