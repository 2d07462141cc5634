import importlib

import pytest
import sympy as sp

from clopsim.bounds import Setting, alignment_uniform_rate, bessel_ratios, learned_temperature
from clopsim.bounds.learned_temperature import derive


@pytest.mark.parametrize("rate, tau, cosine", [(0.9, 0.7325, 0.4070), (0.6, 0.5816, 0.4847)])
def test_reference_values(rate, tau, cosine):
    found = learned_temperature(rate, dimension=3)
    assert found.temperature == pytest.approx(tau, abs=6e-5)
    assert found.view_cosine == pytest.approx(cosine, abs=6e-5)


@pytest.mark.parametrize("d", (2, 3, 8, 16))
@pytest.mark.parametrize("keys, pull", (("symmetric", 2), ("detached", 1)))
def test_the_balance_is_exact(d, keys, pull):
    for rate in (1e-3, 0.01, 0.03):
        tau, cosine = learned_temperature(rate, dimension=d, keys=keys)
        assert cosine == pytest.approx(bessel_ratios(1 / tau, d, degrees=1)[1], rel=1e-12)
        assert cosine == pytest.approx(tau / (pull * rate), rel=1e-12)


def test_it_is_the_ambient_edge_of_the_views():
    """mu = tau/(p A_1): where the ambient step's views come apart, at the temperature that is learned."""
    tau, _ = learned_temperature(0.2, dimension=8)
    assert alignment_uniform_rate(Setting(tau, 8, 10, "full", "ambient"), limit=True) == pytest.approx(0.2, rel=1e-6)


def test_limits():
    """Small rates: a low temperature, tau -> p mu, at cosine 1."""
    tau, cosine = learned_temperature(1e-4, dimension=8)
    assert tau == pytest.approx(2e-4, rel=1e-3)
    assert cosine == pytest.approx(1, rel=1e-3)


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    kappa, pull, A, mu = sp.symbols("kappa pull A_1 mu", positive=True)
    for keys, p in (("symmetric", 2.0), ("detached", 1.0)):
        for number in (0.05, 0.5, 0.9):
            tau, cosine = learned_temperature(number, dimension=3, keys=keys)
            mean = float(proof.formulas["A_1 at d = 3"].subs(kappa, 1 / tau))
            assert cosine == pytest.approx(mean, rel=1e-12)
            numbers = {kappa: 1 / tau, pull: p, A: mean, mu: number}
            assert float(proof.formulas["learned_temperature, rate"].subs(numbers)) == pytest.approx(number, rel=1e-12)
            assert float(proof.formulas["view cosine"].subs(numbers)) == pytest.approx(cosine, rel=1e-12)


def test_wrong_input():
    with pytest.raises(
        ValueError, match=r"^rate must be below 4\.16, where the uniform state breaks at tau = .*got 10"
    ):
        learned_temperature(10.0, dimension=3)
    with pytest.raises(ValueError, match="^rate must leave a temperature >= 0.0001, got 1e-05, which leads to 2e-05; "):
        learned_temperature(1e-5, dimension=8)
    with pytest.raises(ValueError, match="^rate must be a finite number > 0, got 0.0"):
        learned_temperature(0.0, dimension=3)
    with pytest.raises(ValueError, match="^dimension must be a whole number >= 2, got 1"):
        learned_temperature(0.5, dimension=1)
    with pytest.raises(ValueError, match="^keys must be one of symmetric, detached"):
        learned_temperature(0.5, dimension=3, keys="frozen")


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    module = importlib.import_module("clopsim.bounds.learned_temperature")  # the function has its name
    assert broken_by_five_percent(module, "_closed_forms") == {"balance", "rate"}
