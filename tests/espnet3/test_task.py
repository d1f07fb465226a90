"""The plugin's names in ESPnet3: found by path, in every kind of process."""

import ast
import importlib
import sys

import pytest
from tiny_recipe import needs_espnet3, run

TASK = "espnet_blankskip.espnet3.ASRTask"

# one child finds out everything, because importing ESPnet takes ten seconds; it is
# spawned by a script that never imports the plugin
SCRIPT = """
import multiprocessing, sys

CONFIG = dict(
    token_list=["<blank>", "a", "<sos/eos>"],
    encoder="blankskip_conformer",
    encoder_conf=dict(
        num_blocks=2, output_size=8, attention_heads=2, linear_units=8,
        rel_pos_type="latest", gate_layers=[1], interctc_layer_idx=[1],
    ),
    model="blankskip",
    model_conf=dict(ctc_weight=1.0, interctc_weight=0.3, factorized_ctc=True,
                    kd_weight=0.1),
)

def model(task):
    from espnet3.utils.task_utils import get_espnet_model
    try:
        built = get_espnet_model(task, CONFIG)
    except Exception as error:
        return str(error)
    return [type(part).__name__ for part in (built, built.encoder, built.ctc)]

def child(queue):
    own, ours = "espnet3.systems.esp2_asr.task.ASRTask", "%(task)s"
    found = {"without the plugin": model(own), "by its path": model(ours)}
    found["ESPnet3's own task, afterwards"] = model(own)
    found["misspelt"] = model("%(task)s".replace("ASRTask", "AsrTask"))
    from espnet3.systems.esp2_asr.inference import ASRInferenceRunner as runner
    found["runner taught once"] = not hasattr(runner.format_output.stock, "stock")
    queue.put(found)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print("FOUND", queue.get(timeout=250))
    process.join()
    assert "espnet_blankskip" not in sys.modules
"""
BUILT = ["BlankSkipASRModel", "BlankSkipConformerEncoder", "FactorizedCTC"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task")
    (folder / "script.py").write_text(SCRIPT % {"task": TASK})
    return ast.literal_eval(run(folder, "script.py").split("FOUND")[1].strip())


@needs_espnet3
def test_a_spawned_process_knows_the_names_by_the_tasks_path(found):
    assert "blankskip_conformer" in found["without the plugin"]  # an error names it
    assert found["by its path"] == BUILT
    assert found["ESPnet3's own task, afterwards"] == BUILT
    assert found["runner taught once"]


@needs_espnet3
def test_a_misspelt_path_is_told_in_one_line(found):
    assert found["misspelt"].splitlines() == [
        "Failed to get task class from espnet_blankskip.espnet3.AsrTask: "
        "espnet_blankskip.espnet3 has no AsrTask; did you mean "
        "espnet_blankskip.espnet3.ASRTask?"
    ]


@pytest.mark.parametrize(
    "hidden, reason",
    [
        ("lightning", "it needs lightning, which is not installed"),
        ("hydra.utils", "it needs hydra, which is not installed"),
        ("espnet3", "does not have it, 202609 does"),
        ("espnet3.systems", "does not have it, 202609 does"),
    ],
)
def test_without_espnet3_or_its_extras_one_line_says_what_to_install(
    monkeypatch, hidden, reason
):
    from espnet_blankskip.upstream import espnet3_module

    def missing(name):
        raise ModuleNotFoundError(f"No module named {hidden!r}", name=hidden)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError) as caught:
        espnet3_module("systems.base.training")
    [line] = str(caught.value).splitlines()
    assert reason in line and "pip install -U 'espnet[asr,train]'" in line


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="ESPnet3 is there")
def test_an_espnet_without_espnet3_says_so():
    from espnet_blankskip import espnet3

    with pytest.raises(ImportError, match="no ESPnet3: ESPnet .* does not have it"):
        espnet3.ASRTask  # noqa: B018
