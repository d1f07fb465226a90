"""Contract 5 under DDP: a process whose batch keeps nothing holds nobody up.

DistributedDataParallel waits for a gradient of every parameter from every process,
and raises at the next step when one got none.
"""

import itertools
import socket

import pytest
import torch
import torch.distributed as dist
from tiny_models import make_batch, make_model
from torch.nn.parallel import DistributedDataParallel

NOTHING, SOME, ALL = "nothing", "some", "all"
KEEP = {
    "rank_1_keeps_nothing": (SOME, NOTHING),
    "rank_0_keeps_nothing": (NOTHING, ALL),
    "both_keep_nothing": (NOTHING, NOTHING),
}
OWN_GATE = dict(
    encoder=dict(gate_head="own", blank_threshold=0.5),
    split_gate=False,
    interctc_weight=0.0,
)
MODELS = {
    "plain": {},
    "factorized_kd": dict(factorized_ctc=True, kd_weight=0.5, kd_frames="kept"),
    "all_context_two_gates": dict(
        encoder=dict(gate_layers=[2, 4], attn_context="all", spike_extension=1)
    ),
    "zero_context": dict(encoder=dict(conv_context="zero")),
    "own_gate": dict(OWN_GATE, kd_weight=0.5),
    "own_gate_that_waits": dict(OWN_GATE, kd_weight=0.5, kd_warmup_steps=10),
    "own_gate_that_nothing_teaches": OWN_GATE,
}
CASES = list(itertools.product(MODELS, KEEP))
# mean losses (final, intermediate) with which the processes begin: alone, the first
# would wait with distillation and the second would not
EVIDENCE = (2.0, 1.9), (1.0, 2.0)


def distillation_of_three_batches(final, intermediate, seed):
    """For each batch, whether this process had distillation in its loss."""
    model = make_model(kd_weight=5.0)
    model._teacher_watch.update(final, intermediate)
    model._teacher_watch.decay = 0.5  # each batch's final loss is the lower one
    parallel = DistributedDataParallel(model)
    distils = []
    for _ in range(3):
        loss, stats, _ = parallel(**make_batch(seed=seed))
        loss.sum().backward()
        ctc = 0.7 * stats["loss_ctc"] + 0.3 * stats["loss_interctc_layer2"]
        distils.append(abs(loss.item() - ctc.item()) > 1e-3)
    return distils


def train(rank, port, folder):
    """One process: train every model for two steps, save the last gradients."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    results = {}
    for name, keep in CASES:
        model = make_model(**MODELS[name])
        # the head is the same in both processes, so their thresholds differ
        if KEEP[keep][rank] == NOTHING:
            model.encoder.blank_threshold = 1e-30
        elif KEEP[keep][rank] == ALL:
            model.encoder.blank_threshold = 1.1
        parallel = DistributedDataParallel(model)
        for _ in range(2):  # a missing gradient raises in the second step
            model.zero_grad()
            loss, stats, _ = parallel(**make_batch(seed=rank))
            loss.sum().backward()
        grads = {n: p.grad for n, p in model.named_parameters()}
        results[name, keep] = stats["kept_ratio"].item(), grads
    results["distils"] = distillation_of_three_batches(*EVIDENCE[rank], seed=rank)
    torch.save(results, folder / f"rank_{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results of both processes by (model, keep)."""
    folder = tmp_path_factory.mktemp("ddp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(train, (port, folder), nprocs=2)
    return [torch.load(folder / f"rank_{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_the_same_gradient_in_both_processes(trained, name, keep):
    (kept_0, grads_0), (kept_1, grads_1) = (results[name, keep] for results in trained)
    for kept, wanted in zip((kept_0, kept_1), KEEP[keep]):
        assert {NOTHING: kept == 0, SOME: 0 < kept < 1, ALL: kept == 1}[wanted]
    for parameter, grad in grads_0.items():
        assert grad.isfinite().all(), parameter
        assert grad.equal(grads_1[parameter]), parameter
    assert any(grad.any() for grad in grads_0.values())


def test_both_processes_distil_in_the_same_batches(trained):
    assert [results["distils"] for results in trained] == [[False, True, True]] * 2
