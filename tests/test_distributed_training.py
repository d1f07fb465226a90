"""ESPnet's own training command: two processes, and accumulated gradients.

Both split one batch of four utterances in two halves. Batch norm sees each half on its
own either way, so two processes must learn what one process learns that accumulates
over the halves; without batch norm, what one learns from the whole batch.
"""

import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
import yaml
from real_speech import digit_files
from tiny_experiment import train_config

WORDS = ["zero", "one", "two", "three", "four"]
SAMPLES = 5000
TOKENS = ["<blank>", "<unk>", *WORDS, "<sos/eos>"]
# of one batch; most frames are kept in the first, none in the last
EPOCHS = 6

SETTINGS = dict(
    batch_type="unsorted",
    max_epoch=EPOCHS,
    num_workers=0,
    seed=8,  # with it the final layer is the better one, so that it teaches
    use_tensorboard=False,
    use_matplotlib=False,
    num_att_plot=0,
    best_model_criterion=[["valid", "loss", "min"]],
    optim="sgd",
    optim_conf=dict(lr=0.01),
    unused_parameters=False,
)
# the halves of two processes are every second utterance of the whole
WHOLE, HALVES = [1, 2, 3, 4], [1, 3, 2, 4]
# warm-ups count batches, so that half of a batch is one, too
ACCUMULATED = dict(kd_warmup_steps=2, batch_size=2, accum_grad=2)
WHOLE_BATCH = dict(kd_warmup_steps=1, batch_size=4, accum_grad=1)


def write_config(path, encoder, kd_warmup_steps, **settings):
    config = train_config(factorized=True, encoder=encoder)
    config["model_conf"].update(kd_weight=0.5, kd_warmup_steps=kd_warmup_steps)
    config["encoder_conf"].update(
        blank_threshold=0.5, positional_dropout_rate=0.0, attention_dropout_rate=0.0
    )
    if encoder == "blankskip_transformer":
        for name in ("rel_pos_type", "macaron_style", "cnn_module_kernel"):
            config["encoder_conf"].pop(name)
    config.update(SETTINGS, token_list=TOKENS, **settings)
    path.write_text(yaml.safe_dump(config))
    return path


def write_data(folder):
    """Four spoken digits, listed in two orders.

    All of one length, because ESPnet's STFT reads a little of what pads a batch.
    """
    speech = {}
    for n, file in zip(WHOLE, digit_files(*(f"{n}_jackson_7" for n in WHOLE))):
        samples, rate = soundfile.read(file)
        speech[n] = folder / f"{n}.wav"
        soundfile.write(speech[n], np.pad(samples, (0, SAMPLES))[:SAMPLES], rate)
    lines = {"wav.scp": speech, "text": {n: WORDS[n] for n in WHOLE}}
    for name, values in lines.items():
        (folder / name).write_text("".join(f"utt{n} {values[n]}\n" for n in WHOLE))
    for name, order in dict(whole=WHOLE, halves=HALVES).items():
        (folder / name).write_text("".join(f"utt{n} {SAMPLES}\n" for n in order))


def options(folder, config, shapes, output):
    """Options of `asr_train`; no part of them contains a blank."""
    words = ["--config", config, "--output_dir", folder / output, "--ngpu", "0"]
    for part, shape_file in dict(train=shapes, valid="whole").items():
        words += [f"--{part}_shape_file", folder / shape_file]
        for name in ("wav.scp,speech,sound", "text,text,text"):
            words += [f"--{part}_data_path_and_name_and_type", f"{folder}/{name}"]
    return [str(word) for word in words]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "espnet_blankskip", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
    )


# one process trains several models, because importing ESPnet takes ten seconds
TRAIN_EACH = """
import sys
from espnet2.bin.asr_train import main
for line in sys.argv[1:]:
    main(line.split())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with what all trainings left, and the log of one of the two processes."""
    folder = tmp_path_factory.mktemp("training")
    write_data(folder)
    accumulated = write_config(folder / "a.yaml", "blankskip_conformer", **ACCUMULATED)
    whole = write_config(folder / "w.yaml", "blankskip_conformer", **WHOLE_BATCH)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # what ESPnet's launcher runs on each node of a cluster
    nodes = ["--multiprocessing_distributed", "true", "--dist_world_size", "2"]
    nodes += ["--dist_backend", "gloo", "--dist_master_addr", "127.0.0.1"]
    nodes += ["--dist_master_port", str(port)]
    started = [
        start(
            *("-m", "espnet2.bin.asr_train"),
            *options(folder, whole, "whole", "two_processes"),
            *(*nodes, "--dist_rank", str(rank)),
        )
        for rank in range(2)
    ]
    plain = {
        name: write_config(folder / f"{name}.yaml", "blankskip_transformer", **settings)
        for name, settings in [
            ("no_norm_halves", ACCUMULATED),
            ("no_norm_whole", WHOLE_BATCH),
        ]
    }
    alone = [
        options(folder, accumulated, "halves", "accumulated"),
        options(folder, plain["no_norm_halves"], "halves", "no_norm_halves"),
        options(folder, plain["no_norm_whole"], "whole", "no_norm_whole"),
    ]
    started.append(start("-c", TRAIN_EACH, *map(" ".join, alone)))
    logs = [process.communicate(timeout=300)[0] for process in started]
    for process, log in zip(started, logs):
        assert process.returncode == 0, log[-3000:]
    return folder, logs[0]


def curve(folder, name):
    """One training statistic by epoch, as ESPnet's checkpoint keeps it."""
    state = torch.load(folder / "checkpoint.pth", weights_only=False)
    epochs = state["reporter"]["stats"]
    return [float(epochs[n]["train"][name]) for n in range(1, EPOCHS + 1)]


def test_two_processes_were_two(trained):
    folder, log = trained
    assert re.search(r":0/2\] .*INFO: 6epoch results", log)


# two processes share the running statistics of the first, which normalize a batch
# that keeps a single frame
@pytest.mark.parametrize(
    "split, reference, tolerance",
    [
        ("two_processes", "accumulated", 1e-3),
        ("no_norm_halves", "no_norm_whole", 1e-5),
    ],
)
@pytest.mark.parametrize("name", ["loss_ctc", "loss_interctc_layer2", "loss_kd"])
def test_halves_of_a_batch_teach_what_the_batch_teaches(
    trained, split, reference, tolerance, name
):
    folder, _ = trained
    got, want = curve(folder / split, name), curve(folder / reference, name)
    assert want[-1] < 0.7 * want[0], "it learned"
    assert got == pytest.approx(want, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("split", ["two_processes", "accumulated"])
def test_training_goes_on_when_batches_skip_everything(trained, split):
    folder, _ = trained
    kept = curve(folder / split, "kept_ratio")
    assert kept[0] > 0.3 and kept[-2:] == [0.0, 0.0]
    loss = curve(folder / split, "loss_ctc")
    assert loss[-1] < loss[-2]


def test_distillation_ran_in_two_processes_after_its_warmup(trained):
    folder, _ = trained
    loss, ctc, inter, kd = (
        curve(folder / "two_processes", name)
        for name in ("loss", "loss_ctc", "loss_interctc_layer2", "loss_kd")
    )
    assert min(kd[:2]) > 0.1
    want = [0.7 * c + 0.3 * i + 0.5 * d for c, i, d in zip(ctc, inter, [0.0, *kd[1:]])]
    assert loss == pytest.approx(want, rel=1e-5)
