import math
from importlib import import_module

import numpy as np
import pytest

from clopsim.bounds import attracting_rates, unequal_attracting_rates
from clopsim.bounds.unequal_pulls import derive


def rotated(curvatures, seed=0):
    """A symmetric matrix with these eigenvalues."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((len(curvatures), len(curvatures))))[0]
    return basis @ np.diag(curvatures) @ basis.T


def factors(hessian, pulls, rate):
    """Of one step, by the matrix of the statement."""
    return np.linalg.eigvals(np.eye(len(pulls)) - rate * hessian / (1 - rate * pulls)[:, None])


@pytest.mark.parametrize("curvatures", ((0.5, 1.0, 3.0), (-0.5, -1.0, -3.0), (1.0, -1.0, 2.0)))
@pytest.mark.parametrize("pull", (-2.0, -0.7, 0.0, 0.7, 2.0))
def test_one_pull_is_t27(curvatures, pull):
    found = unequal_attracting_rates(rotated(curvatures), pulls=np.full(3, pull))
    expected = attracting_rates(curvatures, pull=pull, gradient="ambient")
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "sign, own",
    (
        (1, (-0.4, -0.1, 0.3, 0.2)),
        (-1, (3.0, 2.5, 4.0, 3.2)),
        (1, (-3.0, -4.0, -2.6, -5.0)),
        (-1, (0.4, 0.1, 0.3, 1.2)),
    ),
)
def test_the_factors_of_a_step_pass_1_there_and_nowhere_else(seed, sign, own):
    """At rates on a grid, without those between the poles at which some embeddings are turned over."""
    hessian, pulls = sign * rotated((0.3, 1.0, 2.0, 4.0), seed), np.array(own)
    found = unequal_attracting_rates(hessian, pulls=pulls)
    for rate in np.geomspace(1e-2, 1e3, 300):
        turned = rate * pulls > 1
        if turned.any() and not turned.all():
            continue
        size = np.abs(factors(hessian, pulls, rate)).max()
        assert (size < 1) == (found is not None and found.above < rate < found.below), rate


def test_turns_are_left_out():
    """A level 0 decides nothing, and neither does rounding in its place."""
    pulls = np.array([-0.4, -0.1, 0.3])
    curved = unequal_attracting_rates(rotated((1.0, 2.0, 1e-12)), pulls=pulls)
    assert curved == pytest.approx(unequal_attracting_rates(rotated((1.0, 2.0, -1e-12)), pulls=pulls), rel=1e-9)
    assert unequal_attracting_rates(rotated((1.0, 2.0, -1e-3)), pulls=pulls) is None
    assert unequal_attracting_rates(rotated((-1.0, -2.0, 1e-3)), pulls=3 + pulls) is None
    assert unequal_attracting_rates(rotated((-1.0, -2.0, 1e-12)), pulls=3 + pulls).below == math.inf


@pytest.mark.parametrize(
    "hessian, pulls, message",
    (
        (np.eye(3), np.ones(2), r"^pulls must be \(k,\) beside a hessian \(k, k\), got \(2,\) beside \(3, 3\)"),
        (np.ones((2, 3)), np.ones(2), r"^pulls must be \(k,\) beside"),
        (np.ones(2), np.ones(2), r"^pulls must be \(k,\) beside"),
        (np.ones((0, 0)), np.ones(0), r"^pulls must be \(k,\) beside"),
        (np.eye(2) * np.nan, np.ones(2), "^hessian and pulls must be finite"),
        (np.eye(2), np.array([1, np.inf]), "^hessian and pulls must be finite"),
        (np.zeros((2, 2)), np.ones(2), "^hessian must have a curvature other than 0"),
    ),
)
def test_wrong_input_is_one_sentence(hessian, pulls, message):
    with pytest.raises(ValueError, match=message):
        unequal_attracting_rates(hessian, pulls=pulls)


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(import_module("clopsim.bounds.unequal_pulls"), "_closed_forms") == {
        "a step, first embedding", "a step, second embedding", "factor -1", "factor 1", "one pull: T27",
        "the pole is beyond",
    }  # fmt: skip
