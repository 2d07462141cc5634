"""Class-incremental learning: what the learners see, and how they are measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from clopsim.protocols import incremental
from clopsim.protocols.incremental import FIXED, VARIANTS, Incremental, _measured, against_the_best

TINY = Incremental(seeds=1, tasks=2, steps=2, rates=(0.01,))


def test_the_measures_of_a_stream_written_by_hand():
    """Two tasks of five classes: 0.8 on the first when learned, 0.5 at the end, 0.9 on the second."""
    order = [np.arange(10)[::-1].copy()]
    of_class = torch.full((2, len(VARIANTS), 10), torch.nan, dtype=torch.float64)
    of_class[0, :, 5:] = 0.8
    of_class[1, :, 5:], of_class[1, :, :5] = 0.5, 0.9
    found = _measured(of_class, order, torch.ones(len(VARIANTS)), TINY)
    for name, value in {"final_accuracy": 0.7, "average_accuracy": 0.75, "forgetting": 0.3, "best_rate": 0.01}.items():
        np.testing.assert_allclose(found[name], value)
    np.testing.assert_allclose(found["accuracy"].isel(rate=0, seed=0, variant=0), (0.8, 0.7))


def test_a_variant_is_judged_at_its_best_rate():
    setting = replace(TINY, rates=(0.1, 0.2))
    of_class = torch.full((2, 2, len(VARIANTS), 10), 0.5, dtype=torch.float64)
    of_class[:, 1, 0] = 0.6
    of_class[:, 1, 1] = 0.4
    found = _measured(of_class.flatten(1, 2), [np.arange(10)], torch.ones(2 * len(VARIANTS)), setting)
    assert found["best_rate"].isel(seed=0).values[:2].tolist() == [0.2, 0.1]
    assert found["final_accuracy"].isel(seed=0).values[:2].tolist() == pytest.approx([0.6, 0.5])


def test_the_best_fixed_balance_is_found_afterwards():
    values = xr.DataArray(
        np.arange(len(VARIANTS))[:, None] * [1.0, 1.0],
        dims=("variant", "seed"),
        coords={"variant": list(VARIANTS)},
    )
    difference = against_the_best("a")(xr.Dataset({"a": values}))
    assert difference.values.tolist() == [VARIANTS.index("learned") - (len(FIXED) - 1)] * 2


def test_a_task_brings_its_own_classes_and_the_memory_of_the_old_ones(monkeypatch):
    """The cross entropy never sees a class that has not come, and every old class is replayed whole."""
    seen = []
    original = incremental._loss

    def spy(embedding, logits, labels, old, met, *rest):
        seen.append((labels[0], old[0], met[0]))
        return original(embedding, logits, labels, old, met, *rest)

    monkeypatch.setattr(incremental, "_loss", spy)
    incremental.run(TINY, lambda share: None)
    (first, none, half), *_, (last, old, all_) = seen
    assert not none.any()
    assert set(first.tolist()) <= set(half.nonzero().flatten().tolist())
    assert len(first) == TINY.batch
    assert (int(half.sum()), int(all_.sum())) == (5, 10)
    assert torch.equal(old, half)
    replayed = last[TINY.batch :]
    assert torch.equal(replayed.bincount(minlength=10), 5 * old.long())
    assert not old[last[: TINY.batch]].any()
