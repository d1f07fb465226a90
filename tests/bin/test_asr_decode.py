"""The decode stage finishes its list, names what it could not use, and counts."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_audio import GSM_BLOCK, write_odd_files, write_unusable_files
from search_extra import needs_search
from tiny_experiment import write_experiment

from espnet_blankskip.bin import asr_decode

RATE = 8000
OUTPUTS = ("text", "token", "token_int", "score", "depth")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("exp"))


@pytest.fixture
def wav_scp(tmp_path):
    """Three good utterances among four bad ones."""
    rng = np.random.default_rng(0)
    lines = []

    def add(name, samples, rate=RATE, **options):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples, rate, **options)
        lines.append(f"{name} {path}")
        return path

    def noise(seconds):
        return rng.normal(0, 0.1, int(seconds * RATE))

    add("a-good", noise(1.0))
    add("b-rate", noise(1.0), rate=16000)
    add("c-short", noise(0.02))
    add("d-stereo", noise(1.5).reshape(-1, 2))
    lines.append(f"e-missing {tmp_path}/nothing.wav")
    path = add("f-cut", noise(1.0))
    path.write_bytes(path.read_bytes()[:999])
    add("g-good", noise(0.7))
    scp = tmp_path / "wav.scp"
    scp.write_text("\n".join(lines) + "\n")
    return scp


def run(experiment, wav_scp, out, *options):
    config, model = experiment
    return asr_decode.main(
        [
            "--output_dir", str(out),
            "--data_path_and_name_and_type", f"{wav_scp},speech,sound",
            "--asr_train_config", str(config),
            "--asr_model_file", str(model),
            *options,
        ]
    )  # fmt: skip


def table(path):
    rows = [line.split(maxsplit=1) for line in path.read_text().splitlines()]
    return {row[0]: row[1] if len(row) > 1 else "" for row in rows}


@pytest.mark.parametrize("batch_size", ["1", "3"])
def test_bad_audio_is_named_and_the_rest_decoded(
    experiment, wav_scp, tmp_path, caplog, batch_size
):
    caplog.set_level("INFO")
    out = tmp_path / "out"
    status = run(experiment, wav_scp, out, "--batch_size", batch_size)
    assert status == 0
    ids = list(table(wav_scp))
    for name in OUTPUTS:
        assert list(table(out / "1best_recog" / name)) == ids
    failed = table(out / "1best_recog" / "failed")
    assert list(failed) == ["b-rate", "c-short", "e-missing", "f-cut"]
    for utt_id in failed:
        assert table(out / "1best_recog" / "text")[utt_id] == ""
        assert sum(f"'{utt_id}'" in m for m in caplog.messages) == 1
    assert [m for m in caplog.messages if "decoded 3 of 7 utterances, failed 4" in m]
    tokens = table(out / "1best_recog" / "token")
    texts = table(out / "1best_recog" / "text")
    assert any(texts.values())
    for utt_id, ints in table(out / "1best_recog" / "token_int").items():
        assert len(ints.split()) == len(tokens[utt_id].split())
    kept, total, layers, *seconds = table(out / "1best_recog" / "depth")[
        "a-good"
    ].split()
    assert 0 <= int(kept) <= int(total)
    assert 2 * int(total) <= int(layers) <= 4 * int(total)
    assert float(seconds[0]) <= float(seconds[1])
    assert float(seconds[2]) == 1.0


def test_odd_files_are_decoded_and_unusable_ones_cost_themselves(experiment, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)
    odd = write_odd_files(tmp_path, noise, RATE)
    unusable = write_unusable_files(tmp_path, noise, RATE)
    paths = [*unusable.values(), *odd.values()]
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"u{i} {path}\n" for i, path in enumerate(paths)))
    out = tmp_path / "out"
    assert run(experiment, scp, out, "--batch_size", "3") == 0
    bad = [f"u{i}" for i in range(len(unusable))]
    assert list(table(out / "1best_recog" / "failed")) == bad
    depth = table(out / "1best_recog" / "depth")
    good = [f"u{i}" for i in range(len(unusable), len(paths))]
    for utt_id in good:
        assert 3.0 <= float(depth[utt_id].split()[-1]) <= 3.0 + GSM_BLOCK / RATE


def test_log_has_the_pairs_that_calculate_rtf_needs(experiment, wav_scp, tmp_path):
    """Run as a process, read its log the way ESPnet's calculate_rtf.py does."""
    config, model = experiment
    out = tmp_path / "out"
    done = subprocess.run(
        [
            sys.executable, "-m", "espnet_blankskip",
            "-m", "espnet_blankskip.bin.asr_decode",
            "--output_dir", str(out),
            "--data_path_and_name_and_type", f"{wav_scp},speech,sound",
            "--asr_train_config", str(config),
            "--asr_model_file", str(model),
            "--batch_size", "2",
            "--ngpu", "0", "--num_workers", "1", "--seed", "0",
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    begin, end, lengths, order = [], [], [], []
    for line in done.stderr.splitlines():
        if "INFO: speech length: " in line:
            lengths.append(int(line.split("speech length: ")[1]))
            begin.append(_time(line))
            order.append("begin")
        elif "INFO: best hypo" in line:
            end.append(_time(line))
            order.append("end")
    assert order == ["begin", "end"] * 3
    assert sorted(lengths) == [5600, 6000, 8000]
    spent = sum((e - b).total_seconds() for b, e in zip(begin, end))
    assert 0 <= spent < 60


def _time(line):
    stamp = re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \(\w+:\d+\) ", line)
    assert stamp, line
    return datetime.datetime.strptime(line.split(" (")[0], "%Y-%m-%d %H:%M:%S,%f")


def test_key_file_chooses_and_unknown_keys_are_named(experiment, wav_scp, tmp_path):
    keys = tmp_path / "keys.1.scp"
    keys.write_text("g-good somewhere\nz-unknown\n")
    out = tmp_path / "out"
    assert run(experiment, wav_scp, out, "--key_file", str(keys)) == 0
    assert list(table(out / "1best_recog" / "text")) == ["g-good", "z-unknown"]
    assert "not in" in table(out / "1best_recog" / "failed")["z-unknown"]


def test_nothing_decoded_is_status_one(experiment, tmp_path):
    scp = tmp_path / "wav.scp"
    scp.write_text("a /nowhere/a.wav\nb /nowhere/b.wav\n")
    out = tmp_path / "out"
    assert run(experiment, scp, out) == 1
    assert list(table(out / "1best_recog" / "failed")) == ["a", "b"]


def test_a_killed_job_leaves_the_earlier_result_whole(
    experiment, wav_scp, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    assert run(experiment, wav_scp, out) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(asr_decode, "_decode_batch", killed)
    assert run(experiment, wav_scp, out) == 130
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_config_file_sets_defaults(experiment, wav_scp, tmp_path):
    config = tmp_path / "decode.yaml"
    config.write_text("mode: intermediate\n")
    out = tmp_path / "out"
    assert run(experiment, wav_scp, out, "--config", str(config)) == 0
    kept, total, layers = table(out / "1best_recog" / "depth")["a-good"].split()[:3]
    assert int(kept) == 0 and int(layers) == 2 * int(total)


@pytest.fixture
def search_files(tmp_path):
    """A lexicon and an n-gram, neither of which has the model's favourite "one"."""
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("two two\nthree three\n")
    unigrams = ["-9 <unk>", "-99 <s> 0", "-1 </s>", "-1 two 0", "-1 three 0", "-2 s 0"]
    arpa = tmp_path / "lm.arpa"
    arpa.write_text(
        "\\data\\\nngram 1=6\nngram 2=1\n\n\\1-grams:\n"
        + "".join(line.replace(" ", "\t") + "\n" for line in unigrams)
        + "\n\\2-grams:\n-0.1\t<s> two\n\n\\end\\\n"
    )
    return lexicon, arpa


@needs_search
def test_nbest_folders_are_those_of_espnet(experiment, wav_scp, tmp_path):
    out = tmp_path / "out"
    # of an earlier run that asked for more; must not look like a result of this one
    (out / "9best_recog").mkdir(parents=True)
    assert run(experiment, wav_scp, out, "--beam_size", "8", "--nbest", "3") == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "1best_recog",
        "2best_recog",
        "3best_recog",
    ]
    assert list(table(out / "1best_recog" / "text")) == list(table(wav_scp))
    scores = [table(out / f"{n}best_recog" / "score") for n in (1, 2, 3)]
    tokens = [table(out / f"{n}best_recog" / "token_int") for n in (1, 2, 3)]
    for utt_id in ("a-good", "d-stereo", "g-good"):
        ranked = [float(score[utt_id]) for score in scores]
        assert ranked == sorted(ranked, reverse=True)
        assert len({token_int[utt_id] for token_int in tokens}) == 3
    # who failed has an empty best hypothesis and no other
    assert set(tokens[1]) == {"a-good", "d-stereo", "g-good"}
    assert sorted(p.name for p in (out / "2best_recog").iterdir()) == [
        "score",
        "text",
        "token",
        "token_int",
    ]


@needs_search
def test_lexicon_and_ngram_reach_the_search(
    experiment, wav_scp, search_files, tmp_path
):
    lexicon, arpa = map(str, search_files)

    def words(name, *options):
        out = tmp_path / name
        assert run(experiment, wav_scp, out, "--beam_size", "4", *options) == 0
        return " ".join(table(out / "1best_recog" / "text").values()).split()

    assert "one" in words("freely"), "the test needs a word outside of both"
    assert set(words("lexicon", "--lexicon", lexicon)) <= {"two", "three"}
    assert "one" not in words("ngram", "--ngram_file", arpa, "--lm_weight", "2.0")
    options = ["--lexicon", lexicon, "--lm_file", arpa]
    assert not words("none", *options, "--word_score", "-100")
    assert len(words("many", *options, "--word_score", "5")) > len(
        words("few", *options, "--word_score", "-3")
    )


@pytest.mark.parametrize(
    "options, words",
    [
        (["--mode", "dense", "--batch_size", "0"], "--batch_size 0"),
        (["--beam_size", "0"], "--beam_size 0 must be at least 1"),
        (["--nbest", "2"], "--nbest 2 must lie in 1..1 for beam_size=1"),
        pytest.param(
            ["--lm_file", "nowhere.arpa"],
            "--lm_file nowhere.arpa does not exist",
            marks=needs_search,
        ),
        (["--blank_threshold", "0.3"], "--blank_threshold 0.3 must be at least 0.5"),
        (["--gate_layers", "2", "3"], "unexpected argument '3' (the layers of one"),
        (["--lm_weight", "0.3"], "--lm_weight 0.3 needs lm_file"),
        (["--blank_treshold", "0.9"], "did you mean --blank_threshold?"),
        (["--batch_size", "1.5"], "--batch_size 1.5 must be a whole number"),
        (["--asr_model_file", "nowhere.pth"], "nowhere.pth"),
        (["--key_file", "nowhere.scp"], "nowhere.scp"),
        (["--data_path_and_name_and_type", "a,text,text"], "expected exactly one"),
    ],
)
def test_wrong_options_are_one_line(
    experiment, wav_scp, tmp_path, capsys, options, words
):
    assert run(experiment, wav_scp, tmp_path / "out", *options) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if "asr_decode:" in x]
    assert len(lines) == 1 and words in lines[0]


@pytest.mark.parametrize(
    "name, mode, beam_size",
    [
        ("greedy", "skipping", 1),
        ("greedy_dense", "dense", 1),
        ("greedy_intermediate", "intermediate", 1),
        ("beam", "skipping", 10),
    ],
)
def test_shipped_configs_are_understood(name, mode, beam_size):
    conf = Path(__file__).resolve().parents[2] / "conf"
    args = asr_decode.get_parser().parse_args(
        [
            "--config", str(conf / f"decode_asr_ctc_{name}.yaml"),
            "--output_dir", "o",
            "--data_path_and_name_and_type", "a,speech,sound",
            "--asr_model_file", "m",
        ]
    )  # fmt: skip
    assert (args.mode, args.beam_size) == (mode, beam_size)
