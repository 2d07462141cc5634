import numpy as np
import pytest
import torch

from clopsim.runs import plan
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.sphere import starts

SMALL = Sweep(temperature=(0.5, 1.0), samples=16, rates=(0.3, 1.5), seeds=2, steps=300)


@pytest.fixture(scope="module")
def small():
    return job.run_sweep(SMALL)


def test_every_observable_is_labelled(small):
    assert dict(small.sizes) == {"temperature": 2, "rate": 2, "seed": 2, "step": small.sizes["step"], "degree": 4}
    assert small["mean_resultant_length"].dims == ("temperature", "rate", "seed", "step")
    assert small["harmonic_energy"].dims == ("temperature", "rate", "seed", "step", "degree")
    assert "alignment" not in small  # the merged loss has no views
    assert list(small["step"].values[[0, -1]]) == [0, 300]
    np.testing.assert_allclose(small["mu_c"], np.array([0.5, 1.0]) * 15 / 14)
    np.testing.assert_allclose(small["learning_rate"], small["mu_c"].values[:, None] * [0.3, 1.5])


def test_collapse_above_and_not_below_in_the_data(small):
    assert (small["outcome"].sel(rate=0.3) == "uniform").all()
    assert (small["outcome"].sel(rate=1.5) == "collapsed").all()
    final = small.isel(step=-1)
    np.testing.assert_allclose(final["effective_rank"].sel(rate=1.5), 1, atol=1e-3)
    np.testing.assert_allclose(
        final["loss"].sel(rate=1.5), small["loss_at_collapse"].values[:, None] * [[1, 1]], rtol=1e-6
    )


def test_chunks_do_not_change_a_run(small, monkeypatch):
    monkeypatch.setitem(plan.BATCH, "cpu", 3 * 16**2)
    monkeypatch.setattr(plan, "STEPS", 2 * 300)
    assert plan.tasks(SMALL)[:2] == [plan.Chunk(0, 6), plan.Chunk(6, 2)]
    chunked = job.run_sweep(SMALL)
    for name in small.data_vars:
        if small[name].dtype.kind == "f":
            np.testing.assert_allclose(chunked[name], small[name], rtol=1e-9, atol=1e-12)
    assert (chunked["outcome"] == small["outcome"]).all()


def test_seeds_are_the_runs_own(small):
    other = job.run_sweep(Sweep(temperature=1.0, samples=16, rates=(1.5,), seeds=1, seed=1, steps=300))
    np.testing.assert_allclose(
        other["mean_resultant_length"][0, 0, 0], small["mean_resultant_length"][1, 1, 1], rtol=1e-9
    )


@pytest.mark.parametrize("loss, gradient", [("merged", "ambient"), ("merged", "tangent"), ("full", "ambient")])
@pytest.mark.parametrize("start", ("data", "random", "uniform", "collapse"))
def test_every_setting_gives_a_summary(loss, gradient, start):
    config = Sweep(samples=16, rates=(0.5, 2.0), seeds=2, steps=60, loss=loss, gradient=gradient, start=start)
    progress: list[float] = []
    dataset = job.run_sweep(config, on_progress=progress.append)
    summary = job.summarise(config, dataset, job.search_thresholds(config, on_progress=progress.append))
    assert summary["holds"] is True
    assert progress[-1] == 1
    assert {row["kind"] for row in summary["thresholds"]} == (
        {"collapse"} if loss == "merged" else {"collapse", "alignment_collapse"}
    )
    assert sum(summary["sweep"][0]["outcomes"].values()) == 4
    assert ("alignment" in dataset) == (loss == "full")


def test_antipodal_lines_start_on_their_lines():
    config = Sweep(
        samples=24, data="lines", clusters=3, noise=0.01, view_noise=0.01, loss="full", rates=(0.1,), seeds=1, steps=1
    )
    dataset = job.run_sweep(config).isel(temperature=0, rate=0, seed=0, step=0)
    assert float(dataset["effective_rank"]) == pytest.approx(3, abs=0.05)
    assert float(dataset["mean_resultant_length"]) < 0.01
    assert float(dataset["alignment"]) > 3.9  # the second view is -x


def test_a_wrong_bound_is_reported_as_failing():
    config = Sweep(samples=16, rates=(0.5, 2.0), seeds=2, steps=20)
    dataset = job.run_sweep(config)
    (found,) = job.search_thresholds(config)
    wrong = type(found)(
        found.kind, found.setting, 1.05 * found.predicted_rate, found.rate, found.bracket, found.searched
    )
    assert job.summarise(config, dataset, [wrong])["holds"] is False


def test_diverged_runs_are_marked_and_kept_out_of_the_summary(monkeypatch):
    """At mu = tau/2 a collapsed point is sent to the origin: exactly for n = 5, whose softmax is 1/4, and on an axis,
    where no sum rounds."""
    monkeypatch.setattr(starts, "from_data", lambda setting, x, **_: torch.eye(8, dtype=torch.float64)[[0] * len(x)])
    config = Sweep(samples=5, clusters=1, noise=0.0, rates=(3 / 8, 2.0), seeds=2, steps=5)
    dataset = job.run_sweep(config)
    assert (dataset["outcome"].isel(rate=0) == "diverged").all()
    assert dataset["loss"].isel(rate=0, step=-1).isnull().all()
    assert (dataset["outcome"].isel(rate=1) == "collapsed").all()


@pytest.mark.parametrize("there, device", [(True, "cuda"), (False, "cpu")])
def test_auto_is_decided_before_anything_is_planned(monkeypatch, there, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert job.prepare(Sweep(device="auto"), here=False).device == device
    assert job.prepare(Sweep(device="cuda:1"), here=False).device == "cuda:1"
