"""One task of a sweep: same bits whatever happens beside it."""

import numpy as np
import pytest
import torch

from clopsim.runs import chunks, plan
from clopsim.runs.config import Sweep
from clopsim.runs.plan import Chunk, Search

CONFIG = Sweep(temperature=(0.5, 1.0), samples=8, clusters=2, rates=(0.5, 1.25, 2.0), seeds=4, steps=50)
WHOLE = Chunk(0, 24)


def test_the_plan_holds_every_cell_once_in_order():
    cells = [plan.cell(CONFIG, number) for number in range(24)]
    assert cells == [(t, r, s) for t in range(2) for r in range(3) for s in range(4)]
    for config in (
        CONFIG,
        Sweep(),
        Sweep(steps=10),
        Sweep(steps=10**6),
        Sweep(samples=512, rates=(1.0,)),
        Sweep(loss="full"),
    ):
        found = plan.tasks(config)
        parts = [task for task in found if isinstance(task, Chunk)]
        ends = np.cumsum([part.size for part in parts])
        assert [part.first for part in parts] == [0, *ends[:-1]]
        assert ends[-1] == np.prod(plan.shape(config))
        searches = [task for task in found if isinstance(task, Search)]
        assert len(searches) == len(config.settings) * (2 if config.loss == "full" else 1)


def test_chunks_take_about_a_second_and_are_not_too_many():
    sizes = {steps: plan.tasks(Sweep(seeds=1000, steps=steps))[0].size for steps in (100, 1000, 4000, 10**6)}
    assert sizes == {100: 1600, 1000: 160, 4000: 40, 10**6: 8}
    many = plan.tasks(Sweep(seeds=100_000))
    assert len(many) <= plan.MOST_CHUNKS + 1
    assert plan.batch_size(Sweep(device="cuda:1")) == 2**25 // 32**2


def test_a_task_has_the_same_bits_on_any_number_of_threads_and_leaves_them():
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(chunks.perform((CONFIG, WHOLE)).arrays)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert_same(*found)


def test_a_cell_that_fails_is_reported_and_changes_no_bit_of_the_others(monkeypatch):
    whole = chunks.perform((CONFIG, WHOLE))
    assert whole.errors == {}
    assert whole.arrays["outcome"].shape == (24,)
    ordinary = chunks.run
    broken = CONFIG.rates[1] * plan.unit(CONFIG, 0)

    def run(z, rate, *rest, **options):
        if (rate == broken).any():
            raise FloatingPointError("this rate\nis cursed")
        return ordinary(z, rate, *rest, **options)

    monkeypatch.setattr(chunks, "run", run)
    found = chunks.perform((CONFIG, WHOLE))
    assert found.errors == dict.fromkeys(range(4, 8), "FloatingPointError: this rate is cursed")
    assert_same(found.arrays, {name: np.delete(values, range(4, 8), axis=0) for name, values in whole.arrays.items()})


def test_batches_of_a_chunk_are_those_of_smaller_chunks(monkeypatch):
    monkeypatch.setitem(plan.BATCH, "cpu", 6 * 8**2)
    whole = chunks.perform((CONFIG, WHOLE)).arrays
    parts = [chunks.perform((CONFIG, Chunk(first, 6))).arrays for first in range(0, 24, 6)]
    assert_same(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole})


@pytest.mark.parametrize("gradient, there", [("ambient", True), ("tangent", False)])
def test_a_search_survives_storage(gradient, there):
    config = Sweep(samples=8, clusters=2, seeds=2, gradient=gradient)
    task = Search(0, "collapse")
    result = chunks.perform((config, task))
    found = chunks.threshold(config, task, result.arrays)
    assert found == chunks.search("collapse", config.settings[0], seeds=range(2))
    assert (found.rate is not None) == there


def test_a_search_that_fails_is_reported(monkeypatch):
    monkeypatch.setattr(chunks, "search", lambda *_, **__: 1 / 0)
    assert chunks.perform((CONFIG, Search(0, "collapse"))).errors == {0: "ZeroDivisionError: division by zero"}


def test_every_gpu_worker_takes_its_own_device():
    found = [chunks.own_device("cuda", worker, count=4) for worker in range(6)]
    assert found == [torch.device("cuda", index) for index in (0, 1, 2, 3, 0, 1)]
    assert chunks.own_device("cuda:1", 3, count=4) == torch.device("cuda:1")
    assert chunks.own_device("cpu", 3) == torch.device("cpu")


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name
