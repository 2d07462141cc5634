"""Gradients of 1, 2 and 4 processes, with real process groups and DistributedDataParallel."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clopsim.losses import by_name, gather, gathered, info_nce

SCRIPT = Path(__file__).with_name("processes.py")
ROOT = Path(__file__).parents[3]
LIMIT = 600  # seconds until the processes are killed; they take about 5 on an idle machine


@pytest.fixture(scope="module")
def alone():
    return runpy.run_path(str(SCRIPT))["step"](0, (8,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the four processes left their results."""
    folder = tmp_path_factory.mktemp("processes")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(folder)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(4)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=LIMIT)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * 4, outputs
    return folder


@pytest.fixture(scope="module", params=("2", "4", "uneven"))
def together(request, folder):
    """Results of every process of a group of 2 or 4, or of 4 with unequal shares, one of them empty."""
    return [torch.load(folder / f"{rank}.{request.param}.pt") for rank in range(2 if request.param == "2" else 4)]


def test_values_and_gradients_do_not_depend_on_the_number_of_processes(alone, together):
    """Value: the global loss everywhere. Rows: the number of processes times its derivative. Embedder after DDP: it."""
    world = len(together)
    for name, (value, rows, weight) in alone.items():
        assert float(weight.abs().max()) > 1e-3, name
        for result in together:
            torch.testing.assert_close(result[name][0], value, rtol=1e-12, atol=1e-12, msg=name)
            torch.testing.assert_close(result[name][2], weight, rtol=1e-9, atol=1e-12, msg=name)
        parts = torch.cat([result[name][1] for result in together], dim=1)  # (2, N, d)
        torch.testing.assert_close(parts / world, rows, rtol=1e-9, atol=1e-12, msg=name)


def test_labels_matter_on_the_process_without_any(alone, together):
    """The last process has no labelled sample, or one: dividing its term by its own count would show here."""
    base, clop = (alone[name][2] for name in ("infonce", "clop cosine over infonce"))
    assert float((clop - base).abs().max()) > 1e-2
    for result in together:
        torch.testing.assert_close(result["clop cosine over infonce"][2] - result["infonce"][2], clop - base)


def test_what_does_not_fit_together_is_refused_in_every_process(folder):
    for rank in range(4):
        dimension, labels, rows, kinds = torch.load(folder / f"{rank}.refused.pt")
        assert dimension.startswith("first must have one dimension in all processes, got [5, 5, 4, 5];")
        assert labels.startswith("labels must be given in all processes or in none, got ['labels', 'none', 'labels',")
        assert rows.startswith("first must have one dtype in all processes, got ['torch.float32', 'torch.float32',")
        assert kinds.startswith("labels must have one dtype in all processes, got ['torch.int32', 'torch.int64',")


def test_without_a_process_group_it_is_the_loss(batch):
    first, second, labels = batch()
    assert torch.equal(gathered(info_nce)(first, second, labels), info_nce(first, second, labels))
    assert torch.equal(gathered(info_nce)(first, second), info_nce(first, second))


def test_a_penalty_on_the_gradient_has_its_own_gradient(folder):
    """It is that of the sum over processes, whose gradients are the number of processes times the global loss's."""
    first, second = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    first.requires_grad_()
    (slope,) = torch.autograd.grad(by_name("infonce", temperature=0.3)(first, second), first, create_graph=True)
    (expected,) = torch.autograd.grad((4 * slope).square().sum(), first)
    found = torch.cat([torch.load(folder / f"{rank}.penalty.pt") for rank in range(4)])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_a_monitor_of_all_processes_sees_the_whole_batch_in_each(folder):
    whole = runpy.run_path(str(SCRIPT))["monitored"](0, (16,))
    assert whole["effective_rank"] > 3
    for rank in range(4):
        seen = torch.load(folder / f"{rank}.monitor.pt")
        assert seen == pytest.approx(whole)


def test_a_process_that_does_not_come_is_named(folder):
    for rank in (0, 1, 3):
        said = torch.load(folder / f"{rank}.late.pt")
        assert said == "process 2 of 4 did not come to the loss within 2 s; see what it does there"


def test_where_the_store_is_frozen_nobody_is_accused(monkeypatch):
    def frozen():
        raise RuntimeError("wait timeout")

    monkeypatch.setattr(gather.dist, "get_process_group_ranks", lambda group: [0, 1])
    monkeypatch.setattr(gather.dist.distributed_c10d, "_get_default_store", frozen)
    assert gather._missing(object(), 2).startswith("a process, perhaps the one that keeps the store, of 2 did not come")


def test_a_patience_is_a_time():
    for wrong in (0, -1, float("nan"), float("inf"), "10"):
        with pytest.raises(ValueError, match="^patience must be a finite number > 0, got"):
            gathered(info_nce, patience=wrong)
