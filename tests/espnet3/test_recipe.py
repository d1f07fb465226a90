"""The recipe itself: all its stages, on mini_an4, FSDD and folders of one's own."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile
import yaml
from real_speech import FSDD, MINI_AN4, digit_files
from tiny_recipe import ENVIRONMENT, RECIPE, WORDS, needs_espnet3, run

from espnet_blankskip.zoo.archive import open_checkpoint

pytestmark = [needs_espnet3, pytest.mark.slow]

STAGES = "create_dataset train_tokenizer collect_stats train infer measure pack_model"
# small and short: what is tested is the way, not the model
SMALL = {
    "model": {
        "encoder_conf": {"output_size": 32, "linear_units": 32, "num_blocks": 6},
    },
    "trainer": {"max_epochs": 4},  # the average of the best three is made after four
}
# what somebody does who got the packed model, in a folder of his own
READ_PACKED = """
import json, sys
import soundfile
from espnet3.publication import InferenceModel
model = InferenceModel.from_packed(sys.argv[1], trust_user_code=True)
texts = {}
for line in open(sys.argv[2]):
    name, path = line.split()
    samples, rate = soundfile.read(path, dtype="float32")
    texts[name] = model((rate, samples))["text"]
print("TEXTS", json.dumps(texts))
"""


def own_folders(folder: Path) -> Path:
    """Data folders of single digits; those of the test set are cut out of one file."""
    for name, indices in dict(train=range(5, 9), dev=[9], test=[0]).items():
        (folder / name).mkdir(parents=True)
        lists = {"wav.scp": "", "text": ""}
        samples = []
        for index in indices:
            for n, word in enumerate(WORDS):
                [found] = digit_files(f"{n}_jackson_{index}")
                lists["wav.scp"] += f"{n}_{index} {found}\n"
                lists["text"] += f"{n}_{index} {word}\n"
                samples.append(soundfile.read(found)[0])
        if name == "test":
            whole, rows, start = folder / "whole.wav", "", 0.0
            soundfile.write(whole, [x for part in samples for x in part], 8000)
            for n, part in enumerate(samples):
                end = start + len(part) / 8000
                rows += f"{n}_0 whole {start:.6f} {end:.6f}\n"
                start = end
            lists.update({"wav.scp": f"whole {whole}\n", "segments": rows})
        for file, text in lists.items():
            (folder / name / file).write_text(text)
    return folder


@pytest.mark.parametrize(
    "corpus, changes",
    [
        ("", {}),
        ("_fsdd", {"create_dataset": {"train_hours": 0.1}}),
        ("_kaldi", {"tokenizer": {"vocab_size": 20}}),
    ],
    ids=["mini_an4", "fsdd", "own_folders"],
)
def test_every_stage_runs_to_the_table_and_the_packed_model(
    tmp_path, monkeypatch, corpus, changes
):
    for source in (FSDD, MINI_AN4):
        if not source.exists():
            pytest.skip(f"no {source}")
    recipe, data = tmp_path / "recipe", own_folders(tmp_path / "own")
    shutil.copytree(RECIPE, recipe, ignore=shutil.ignore_patterns("data", "exp"))
    for name, value in dict(FSDD=FSDD, MINI_AN4=MINI_AN4, DATA=data).items():
        monkeypatch.setitem(ENVIRONMENT, name, str(value))
    if corpus == "_kaldi":  # 8 kHz, which the recipe's 16 kHz has to be told
        rate = {"frontend_conf": {"fs": 8000, "n_fft": 256, "win_length": 200}}
        rate["frontend_conf"].update(hop_length=80, n_mels=40)
        changes = {**changes, "model": {**SMALL["model"], **rate}}
        with open(recipe / "conf" / "inference_kaldi.yaml", "a") as config:
            config.write("contract: {inputs: {speech: {sample_rate: 8000}}}\n")
    config = {"defaults": [f"training{corpus}", "_self_"], **SMALL, **changes}
    (recipe / "conf" / "short.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    roles = dict(training="short", inference=f"inference{corpus}", metrics="metrics")
    roles["publication"] = "publication"
    configs = [w for r, n in roles.items() for w in (f"--{r}_config", f"conf/{n}.yaml")]
    run(recipe, "run.py", "--stages", *STAGES.split(), *configs, timeout=1500)

    exp = recipe / "exp" / "short"
    own = exp / f"inference{corpus}"
    metrics = json.loads((own / "metrics.json").read_text())
    assert [name.rsplit(".", 1)[1] for name in metrics] == [
        *("WER", "CER", "KeptFrames", "RealTimeFactor")
    ]
    rows = [line.split(" | ") for line in (exp / "RESULTS.md").read_text().splitlines()]
    assert [row[1] for row in rows[2:]] == ["dense", "skipping", "intermediate"]
    assert rows[0][2:5] == ["WER", "CER", "KEPT"]
    assert [row[4] for row in rows[2:5:2]] == ["100", "0"]  # dense and intermediate

    pack = exp / "model_pack"
    assert open_checkpoint(str(pack)).missing == {}
    text_scp = (own / "test" / "text.scp").read_text().splitlines()
    want = dict((line.split(" ", 1) + [""])[:2] for line in text_scp)
    if corpus != "_kaldi":  # whose test set is one file
        (tmp_path / "read.py").write_text(READ_PACKED)
        wav_scp = next((recipe / "data").rglob("test/wav.scp"))
        output = run(tmp_path, "read.py", str(pack), str(wav_scp))
        texts = json.loads(output.split("TEXTS")[1])
        assert {name: text.strip() for name, text in texts.items()} == {
            name: text.strip() for name, text in want.items()
        }
    assert len(want) == {"": 2, "_kaldi": 5}.get(corpus, len(want))
