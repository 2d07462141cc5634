"""The predicted critical rates against simulation. A formula that is wrong by 5 % fails every one of these."""

from itertools import product

import numpy as np
import pytest
import torch

from clopsim.bounds import (
    Setting,
    alignment_collapse_rate,
    alignment_is_resolved,
    alignment_uniform_rate,
    antipodal_line_rate,
    collapse_rate,
    swap_cosine,
    uniform_is_resolved,
    uniform_rate,
)
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import run
from clopsim.sphere.thresholds import PROBES, prober, search

CLOSE = np.array([0.90, 0.99, 1.01, 1.10])


@pytest.mark.parametrize("n, tau", list(product((8, 32, 256), (0.1, 0.5, 2.0))))
def test_collapse_rate_is_found_within_one_percent(n, tau):
    found = search("collapse", Setting(tau, 8, n), width=0.002, seeds=range(2 if n == 256 else 5))
    assert found.bracket is not None
    assert found.bracket[0] <= found.rate <= found.bracket[1]
    assert found.rate == pytest.approx(tau * (n - 1) / (n - 2), rel=0.01)
    assert found.agrees(0.01)
    assert not found.agrees(1e-9)


@pytest.mark.parametrize("keys, reduction", list(product(("symmetric", "detached"), ("sum", "mean"))))
@pytest.mark.parametrize("kind", ("collapse", "alignment_collapse"))
@pytest.mark.parametrize("gradient", ("ambient", "tangent"))
@pytest.mark.parametrize("seed", range(3))
def test_rates_at_collapse_are_bracketed(kind, gradient, keys, reduction, seed):
    if kind == "collapse":
        if gradient == "tangent":
            pytest.skip("collapse never attracts: test_collapse_never_attracts")
        setting = Setting(0.5, 6, 16, gradient=gradient, keys=keys, reduction=reduction)
        rate = collapse_rate(setting)
    else:
        setting = Setting(0.5, 6, 16, loss="full", gradient=gradient, keys=keys, reduction=reduction)
        rate = alignment_collapse_rate(setting)
    above = prober(kind, setting, seeds=[seed] * 4)
    assert above(CLOSE * rate).tolist() == [False, False, True, True]


@pytest.mark.parametrize("keys, reduction", list(product(("symmetric", "detached"), ("sum", "mean"))))
@pytest.mark.parametrize("samples, d, tau", [(4, 3, 0.5), (16, 8, 0.2), (8, 4, 1.0)])
@pytest.mark.parametrize("seed", range(2))
def test_the_line_s_rate_is_bracketed(samples, d, tau, keys, reduction, seed):
    setting = Setting(tau, d, 2 * samples, loss="full", keys=keys, reduction=reduction)
    above = prober("line", setting, seeds=[seed] * 4)
    assert above(np.array([0.90, 0.98, 1.02, 1.10]) * antipodal_line_rate(setting)).tolist() == [False] * 2 + [True] * 2


@pytest.mark.parametrize("samples, tau, momentum", [(16, 0.5, 0.1), (32, 0.2, 0.25)])
def test_the_line_s_rate_with_momentum_is_bracketed(samples, tau, momentum):
    setting = Setting(tau, 8, 2 * samples, loss="full", momentum=momentum)
    above = prober("line", setting, seeds=[0, 0, 1, 1])
    assert above(np.array([0.98, 1.02] * 2) * antipodal_line_rate(setting)).tolist() == [False, True] * 2


def test_the_line_is_searched():
    found = search("line", Setting(0.5, 3, 8, loss="full"), seeds=range(2))
    assert found.agrees(0.005)
    assert not found.agrees(1e-6)
    for setting in (
        Setting(0.5, 3, 8, loss="full", gradient="tangent"),
        Setting(0.5, 3, 4, loss="full"),
        Setting(0.5, 8, 64, loss="full", momentum=0.35),
    ):
        never = search("line", setting, seeds=range(2))
        assert never.rate is never.predicted_rate is None


@pytest.mark.parametrize("loss, gradient", [("merged", "tangent"), ("full", "ambient"), ("full", "tangent")])
def test_collapse_never_attracts(loss, gradient):
    found = search("collapse", Setting(0.5, 8, 32, loss=loss, gradient=gradient), seeds=range(3))
    assert found.rate is found.bracket is found.predicted_rate is found.relative_gap is None
    assert found.agrees(0.01)
    wrong = type(found)(found.kind, found.setting, 0.5, None, None, found.searched)
    assert not wrong.agrees(0.01)


@pytest.mark.parametrize("gradient", ("tangent", "ambient"))
@pytest.mark.parametrize(
    "d, tau, n",
    [
        (8, 0.5, 64),
        (8, 0.5, 200),
        (3, 1.0, 32),
        (3, 0.2, 64),
        (3, 0.2, 200),
        (8, 0.2, 600),
        (16, 0.5, 200),
        (2, 0.5, 32),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_uniform_rate_is_bracketed_within_two_percent(d, tau, n, gradient, seed):
    """At the batch's own n (T13), wherever that resolves the breaking degree; the limit is up to 9 % off."""
    setting = Setting(tau, d, n, gradient=gradient)
    assert uniform_is_resolved(setting)
    above = prober("uniform", setting, seeds=[seed] * 2)
    rate = uniform_rate(setting).rate
    assert above([0.98 * rate, 1.02 * rate]).tolist() == [False, True]


@pytest.mark.parametrize("d, tau, n", [(8, 0.5, 20), (16, 0.5, 32), (5, 0.3, 32), (3, 0.2, 24)])
def test_a_batch_that_resolves_too_little_is_told_apart_by_the_criterion(d, tau, n):
    """There T13 is 10 to 22 % off, and the verdict is neither holds nor fails."""
    setting = Setting(tau, d, n)
    found = search("uniform", setting, width=0.01, seeds=range(2))
    assert abs(found.relative_gap) > 0.05
    assert found.agrees(0.05) is None
    assert found.as_row(0.05)["holds"] is None


def test_uniform_rate_in_128_dimensions():
    """The limit, tangent only: no batch resolves the kernel there, which sees 15 000 harmonics; relaxed points keep
    clear of each other, which in the ambient form moves the threshold of n = 2000 to between 1.05 and 1.1 of its limit;
    independent points show the limit (test_dynamics, ripples)."""
    setting = Setting(0.1, 128, 500, gradient="tangent")
    above = prober("uniform", setting, seeds=[0, 0])
    rate = uniform_rate(setting, limit=True).rate
    assert np.isnan(uniform_rate(setting).rate)
    assert above([0.95 * rate, 1.05 * rate]).tolist() == [False, True]


@pytest.mark.parametrize("gradient", ("tangent", "ambient"))
@pytest.mark.parametrize("d, tau, n", [(3, 1.0, 24), (3, 1.0, 200), (8, 0.5, 256), (3, 0.2, 128), (2, 0.3, 32)])
@pytest.mark.parametrize("seed", range(2))
def test_alignment_rate_of_the_uniform_state_within_two_percent(d, tau, n, gradient, seed):
    """n counts both views; at (3, 1.0, 24) the limit n -> infinity lies 23 % too low."""
    setting = Setting(tau, d, n, loss="full", gradient=gradient)
    assert alignment_is_resolved(setting)
    above = prober("alignment_uniform", setting, seeds=[seed] * 2)
    rate = alignment_uniform_rate(setting)
    assert above([0.98 * rate, 1.02 * rate]).tolist() == [False, True]


def test_swap_cosine_to_three_decimals():
    """200 steps: at 2 mu_align the finite batch then leaves the swap slowly (0.498 after 600 steps, n = 800)."""
    setting = Setting(1.0, 3, 800, loss="full", gradient="tangent")
    factors = (0.9, 1.03, 1.1, 1.3, 2.0)
    rate = torch.tensor([factor * alignment_uniform_rate(setting) for factor in factors]).double()
    z = starts.near_uniform(setting, temperature=1.0, seed=0, view_angle=0.1)
    tau = torch.full((len(factors),), 1.0).double()
    final = run(z.repeat(len(factors), 1, 1), rate, tau, setting=setting, steps=(200,)).final
    cosine = 1 - geometry.alignment(final) / 2
    predicted = [swap_cosine(float(mu), setting) for mu in rate]
    np.testing.assert_allclose(cosine.numpy(), predicted, atol=5e-4)


def test_ambient_views_end_antipodal():
    setting = Setting(0.5, 8, 128, loss="full")
    rate = torch.tensor([1.3 * alignment_uniform_rate(setting)]).double()
    z = starts.near_uniform(setting, temperature=0.5, seed=0, view_angle=0.1)[None]
    final = run(z, rate, torch.tensor([0.5]).double(), setting=setting, steps=(1000,)).final
    assert float(geometry.alignment(final)) == pytest.approx(4, abs=1e-3)


def test_the_search_does_not_look_at_the_prediction(monkeypatch):
    honest = search("collapse", Setting(0.5, 8, 8), seeds=range(2))
    lying = PROBES["collapse"]._replace(predicted=lambda setting: 123.0)
    monkeypatch.setitem(PROBES, "collapse", lying)
    found = search("collapse", Setting(0.5, 8, 8), seeds=range(2))
    assert (found.rate, found.bracket) == (honest.rate, honest.bracket)
    assert not found.agrees(0.01)


def test_requested_width_is_reached():
    for width in (0.1, 0.01):
        shares: list[float] = []
        setting = Setting(0.5, 8, 8, loss="full")
        found = search("alignment_collapse", setting, width=width, seeds=(0,), on_progress=shares.append)
        assert shares == sorted(shares)
        assert 0 <= shares[0] < shares[-1] < 1
        assert found.bracket[1] / found.bracket[0] <= 1 + width


def test_wrong_input():
    setting = Setting(0.5, 8, 8)
    with pytest.raises(ValueError, match="^kind must be one of collapse, uniform"):
        search("nothing", setting)
    with pytest.raises(ValueError, match="^width must be in"):
        search("collapse", setting, width=0.0)
    with pytest.raises(ValueError, match="^loss must be full for alignment_uniform, got 'merged'"):
        search("alignment_uniform", setting)
    with pytest.raises(ValueError, match="^loss must be full for line, got 'merged'; the merged loss has no views"):
        search("line", setting)
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        search("collapse", Setting((0.1, 0.5), 8, 8))
    with pytest.raises(ValueError, match="^seeds must be a whole number >= 1, got 0"):
        search("collapse", setting, seeds=())


@pytest.mark.parametrize("beta", (0.3, 0.9))
@pytest.mark.parametrize("kind, loss, gradient", [
    ("collapse", "merged", "ambient"), ("alignment_collapse", "full", "ambient"),
    ("alignment_collapse", "full", "tangent"),
])  # fmt: skip
def test_rates_at_collapse_with_momentum_are_bracketed(kind, loss, gradient, beta):
    setting = Setting(0.5, 6, 32, loss, gradient, momentum=beta)
    rate = PROBES[kind].predicted(setting)
    above = prober(kind, setting, seeds=[0] * 6)
    answers = above(np.array([1 / 64, 0.90, 0.98, 1.02, 1.10, 10]) * rate).tolist()
    assert answers == [False, False, False, True, True, True]


@pytest.mark.parametrize("gradient, d, tau, beta, n", [
    ("tangent", 3, 1.0, 0.5, 400), ("tangent", 3, 1.0, 0.9, 400), ("ambient", 3, 1.0, 0.1, 400),
    ("ambient", 2, 0.5, 0.5, 200),
])  # fmt: skip
def test_the_alignment_rate_with_momentum_is_bracketed_within_four_percent(gradient, d, tau, beta, n):
    setting = Setting(tau, d, n, "full", gradient, momentum=beta)
    rate = alignment_uniform_rate(setting)
    assert prober("alignment_uniform", setting, seeds=[0, 0])([0.96 * rate, 1.04 * rate]).tolist() == [False, True]


def test_views_that_momentum_keeps_together():
    found = prober("alignment_uniform", Setting(1.0, 3, 200, "full", momentum=0.5), seeds=[0] * 3)([0.5, 5.0, 50.0])
    assert found.tolist() == [False] * 3
