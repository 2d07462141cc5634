import numpy as np
import pytest
import torch

from clopsim.bounds import Setting, alignment_uniform_rate, exact_rate, uniform_rate
from clopsim.sphere import starts
from clopsim.sphere.dynamics import run
from clopsim.sphere.outcomes import classify, harmonics, is_uniform


def outcomes(z: torch.Tensor, rate: float, setting: Setting) -> list[str]:
    runs = z if z.ndim == 3 else z[None]
    rates, tau = torch.full((len(runs),), rate).double(), torch.full((len(runs),), setting.temperature).double()
    return classify(runs, rates, tau, setting).tolist()


def test_still_configurations():
    setting, small = Setting(0.5, 3, 40), 1e-9
    eye = torch.eye(3, dtype=torch.float64)
    line = eye[[0] * 40] * torch.tensor([1.0, -1.0] * 20, dtype=torch.float64)[:, None]
    assert outcomes(eye[[0] * 40], small, setting) == ["collapsed"]
    assert outcomes(line, small, setting) == ["line"]
    assert outcomes(torch.cat([eye[[0] * 20], eye[[1] * 20]]), small, setting) == ["clustered"]
    assert outcomes(torch.cat([eye, -eye]).repeat(7, 1)[:40], small, setting) == ["clustered"]  # R = 0, full rank
    assert outcomes(starts.random_directions(setting, seed=0), small, setting) == ["uniform"]
    assert outcomes(starts.random_directions(setting, seed=0), 0.2, setting) == ["restless"]  # not yet at rest
    assert outcomes(torch.full((40, 3), torch.nan, dtype=torch.float64), small, setting) == ["diverged"]


@pytest.mark.parametrize("d", (2, 3, 8, 128))
@pytest.mark.parametrize("loss", ("merged", "full"))
def test_independent_uniform_points_are_uniform(d, loss):
    setting = Setting(0.5, d, 64, loss=loss)
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(20)])
    assert is_uniform(z, setting).all()
    aligned = torch.cat([z[:, :32], z[:, :32]], dim=1)
    assert is_uniform(aligned, Setting(0.5, d, 64, loss="full")).all()


@pytest.mark.parametrize(
    "factor, expected", [(0.5, "uniform"), (0.95, "clustered"), (1.5, "collapsed"), (3.0, "collapsed")]
)
def test_merged_runs_end_as_the_theory_says(factor, expected):
    setting = Setting(0.5, 8, 32)
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(4)])
    rate = torch.full((4,), factor * float(exact_rate(setting))).double()
    tau = torch.full((4,), 0.5).double()
    final = run(z, rate, tau, setting=setting, steps=(1000,)).final
    assert set(classify(final, rate, tau, setting)) == {expected}


def test_a_flip_of_the_whole_cloud_is_no_oscillation():
    """Above mu = tau/2 every ambient step of the merged loss sends z to about -z: the cosines do not move."""
    setting = Setting(0.5, 8, 32)
    z = starts.random_directions(setting, seed=0)
    rate, tau = torch.tensor([0.3]).double(), torch.tensor([0.5]).double()
    final = run(z[None], rate, tau, setting=setting, steps=(1000,)).final
    after = run(final, rate, tau, setting=setting, steps=(1,)).final
    assert float((final * after).sum(dim=-1).mean()) < 0 or float(uniform_rate(setting).rate) > 0.3
    assert classify(final, rate, tau, setting).tolist() == ["uniform"]


def test_swapping_views_oscillate():
    setting = Setting(0.5, 8, 64, loss="full", gradient="tangent")
    z = starts.near_uniform(setting, temperature=0.5, seed=0, view_angle=1e-3)[None]
    tau = torch.tensor([0.5]).double()
    for factor, expected in ((0.8, "uniform"), (1.3, "oscillating")):
        rate = torch.tensor([factor * float(alignment_uniform_rate(setting))]).double()
        final = run(z, rate, tau, setting=setting, steps=(1000,)).final
        assert classify(final, rate, tau, setting).tolist() == [expected]


@pytest.mark.parametrize("temperature, factor", [(0.5, 1.5), (0.5, 4.0), (1.0, 1.5), (0.2, 2.0)])
def test_beyond_mu_t_tangent_runs_are_restless_not_uniform(temperature, factor):
    """At any one moment no harmonic may stand out, but the cosines change by about 1 in every step."""
    setting = Setting(temperature, 3, 60, gradient="tangent")
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(4)])
    rate = torch.full((4,), factor * float(uniform_rate(setting).rate)).double()
    tau = torch.full((4,), temperature).double()
    final = run(z, rate, tau, setting=setting, steps=(500,)).final
    assert set(classify(final, rate, tau, setting)) == {"restless"}
    below = rate * 0.8 / factor
    final = run(z, below, tau, setting=setting, steps=(500,)).final
    assert set(classify(final, below, tau, setting)) == {"uniform"}


def test_number_of_harmonics():
    assert [harmonics(degree, 2) for degree in (1, 2, 3)] == [2, 2, 2]
    assert [harmonics(degree, 3) for degree in (1, 2, 3)] == [3, 5, 7]
    assert np.isclose(harmonics(4, 8), 294)
