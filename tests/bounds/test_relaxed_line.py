import pytest
import torch

from clopsim.audit.experiments.modes import modes, step
from clopsim.audit.experiments.relaxed_penalty import at_ends, dense
from clopsim.bounds import relaxed_line, relaxed_line_rate, unequal_attracting_rates

A, B = {"classes": 3, "per_class": 4, "temperature": 0.5}, {"classes": 4, "per_class": 4, "temperature": 0.2}


@pytest.mark.parametrize("setting, rate", [(A, 0.5688868809907547), (B, 0.18808405500248118)])
def test_values_of_the_document(setting, rate):
    """1.138 and 0.940 in units of tau: the lowest of the zoo."""
    assert relaxed_line_rate(**setting, penalty=1.0) == pytest.approx(rate, rel=1e-12)
    assert round(rate, 5) in (0.56889, 0.18808)
    assert relaxed_line_rate(**setting, penalty=1.0, gradient="tangent") is None


@pytest.mark.parametrize("K, m, tau, beta", [(3, 4, 0.5, 1.0), (2, 6, 0.3, 0.4), (5, 2, 1.0, 2.0), (3, 4, 0.5, 0.0)])
def test_the_whole_hessian_on_the_line(K, m, tau, beta):
    line = relaxed_line(classes=K, per_class=m, temperature=tau, penalty=beta)
    numbers = [(0.0, 1), (line.ends, 1), (line.classes, K - 1), (line.class_ends, K - 1), (line.within, K * (m - 2))]
    expected = sorted(level for level, count in numbers for _ in range(2 * count))
    found = modes(dense((m,) * K, tau, beta), at_ends((m,) * K, 3, line=True))
    assert found.curvatures.tolist() == pytest.approx(expected, abs=1e-8)
    assert found.pulls.tolist() == pytest.approx([line.pull] * (K * m), abs=1e-10)


def test_without_penalty_large_classes_are_not_torn_onto_the_line():
    """Nor are a few pairs at high temperature; the penalty is what opens the way."""
    assert relaxed_line_rate(classes=3, per_class=6, temperature=0.5, penalty=0.0) is None
    assert relaxed_line_rate(classes=2, per_class=2, temperature=2.0, penalty=0.0) is None
    rates = [relaxed_line_rate(**A, penalty=beta) for beta in (0.3, 1.0, 3.0)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("firsts, rate", [((10, 10, 10), 0.3793), ((12, 9, 12), 0.4102), ((8, 5, 8), 0.4806)])
def test_other_lines_attract_too_above_rates_of_their_own(firsts, rate):
    """So many of each class of 20 at one end: T27a's rate of that very line, which runs beside it keep to 3 %."""
    loss, ends = dense((20, 20, 20), 0.5, 1.0), -torch.ones(3, 20, dtype=torch.float64)
    for own, first in zip(ends, firsts, strict=True):
        own[:first] = 1
    line = torch.stack([ends.flatten(), torch.zeros(60, dtype=torch.float64)], dim=1)
    curvatures, directions, pulls = modes(loss, line)
    across = directions[:, :, 1]
    found = unequal_attracting_rates((across.T * curvatures @ across).numpy(), pulls=pulls.numpy())
    assert found is not None
    assert found.above == pytest.approx(rate, abs=5e-5)
    if len(set(firsts)) == 1:
        assert found.above == pytest.approx(relaxed_line_rate(classes=3, per_class=20, temperature=0.5, penalty=1.0))
    off = 1e-4 * torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for factor in (0.97, 1.03):
        z = torch.stack([ends.flatten() * off.cos(), off.sin()], dim=1)
        for _ in range(150):
            z = step(loss, z, factor * found.above, "ambient")
        assert (torch.linalg.svdvals(z)[1] > 1e-3) == (factor < 1)


def test_a_pair_at_each_end_has_no_spread():
    assert relaxed_line(classes=3, per_class=2, temperature=0.5, penalty=1.0).within is None


def test_low_temperature_does_not_overflow():
    line = relaxed_line(classes=3, per_class=4, temperature=1e-3, penalty=1.0)
    assert all(abs(value) < 1e5 for value in line)


def test_wrong_arguments():
    good = {**A, "penalty": 1.0}
    for bad, message in (
        ({"classes": 1}, "classes must be a whole number >= 2"),
        ({"per_class": 1}, "per_class must be a whole number >= 2"),
        ({"per_class": 3}, "per_class must be even on the line, got 3; half of a class is at each end"),
        ({"temperature": 0.0}, "temperature must be a finite number > 0"),
        ({"penalty": -1.0}, "penalty must be a finite number >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            relaxed_line(**{**good, **bad})
