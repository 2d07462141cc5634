"""The spectra and the rates of a card, held against closed forms, and against Jacobians of the step."""

import math
from functools import partial

import pytest
import torch

import clopsim
from clopsim.bounds import (
    Setting,
    alignment_collapse_rate,
    antipodal_line_rate,
    apart_curvature,
    collapse_rate,
    critical_weight,
    together_curvature,
)
from clopsim.cards import calculus, simulation, states
from clopsim.cards.card import portrait
from clopsim.cards.spectrum import Critical, spectrum
from clopsim.cards.subject import random_rows, subject_of
from clopsim.losses import LOSSES, dcl, fedrcl, info_nce, lorac, pauc, supcon

EXACT = {"rel": 1e-8, "abs": 1e-12}


def subject(function, **changes):
    setting = {"temperature": None, "dimension": 4, "samples": 6, "classes": None}
    return subject_of(function, **{**setting, **changes})


def at(function, state, **changes):
    """The spectrum of a loss at one of the states with a name."""
    about = subject(function, **changes)
    z = random_rows(about)
    scale = float(calculus.tangent(z, calculus.value_and_gradient(about.value, z)[1]).norm(dim=-1).max())
    return spectrum(about, getattr(states, state)(about), name=state, title=state, scale=scale, turns=True)


def levels(found):
    """Curvature and multiplicity of every level that is not flat, rising."""
    return [tuple(level) for level in found.levels if level.curvature != 0]


def rates(found, gradient):
    return {each.curvature: each.rate for each in found.criticals() if each.gradient == gradient}


def assert_levels(found, expected):
    """expected: (curvature, multiplicity), in any order; equal ones add up, those of multiplicity 0 are left out."""
    merged = []
    for c, count in sorted(expected):
        if merged and count and math.isclose(c, merged[-1][0], rel_tol=1e-9):
            merged[-1][1] += count
        elif count:
            merged.append([c, count])
    assert [count for _, count in levels(found)] == [count for _, count in merged]
    assert [c for c, _ in levels(found)] == pytest.approx([c for c, _ in merged], **EXACT)


@pytest.mark.parametrize("n, d, tau", ((8, 4, 0.5), (7, 3, 0.2), (12, 8, 1.0)))
def test_merged_collapse_is_that_of_the_theorems(n, d, tau):
    found, setting = at("merged", "point", samples=n, dimension=d, temperature=tau), Setting(tau, d, n)
    c = together_curvature(setting)
    assert_levels(found, [(c, (n - 1) * (d - 1))])
    assert (found.kind, found.turns, found.flat) == ("maximum", d - 1, 0)
    assert found.pull == pytest.approx(2 / tau, **EXACT)
    assert list(rates(found, "ambient").values()) == pytest.approx([collapse_rate(setting)], **EXACT)
    assert list(rates(found, "tangent").values()) == [None]


@pytest.mark.parametrize("samples, d, tau", ((6, 4, 0.5), (5, 6, 1.0), (8, 3, 0.2)))
def test_infonce_at_collapse_and_on_the_line(samples, d, tau):
    n, point = 2 * samples, at("infonce", "point", samples=samples, dimension=d, temperature=tau)
    setting = Setting(tau, d, n, loss="full", reduction="mean")
    together, apart = together_curvature(setting), apart_curvature(setting)
    assert_levels(point, [(together, (samples - 1) * (d - 1)), (apart, samples * (d - 1))])
    assert (point.kind, point.pull) == ("saddle", 0)
    for gradient in ("ambient", "tangent"):
        lost = rates(point, gradient)
        assert lost[levels(point)[0][0]] is None
        assert lost[levels(point)[1][0]] == pytest.approx(alignment_collapse_rate(setting), **EXACT)
    line = at("infonce", "line", samples=samples, dimension=d, temperature=tau)
    assert line.kind == "maximum"
    assert max(rates(line, "ambient").values()) == pytest.approx(antipodal_line_rate(setting), **EXACT)
    assert set(rates(line, "tangent").values()) == {None}


def supcon_at_collapse(K, m, tau):
    """Curvatures of zoo's SupCon at complete collapse, sum over the n anchors."""
    n = K * m
    return {"class": -2 * n / (tau * (n - 1)), "within": 2 * (n - m) / (tau * (n - 1) * (m - 1))}


@pytest.mark.parametrize("name", ("supcon", "supcon_in"))
@pytest.mark.parametrize("K, m, d, tau", ((3, 4, 5, 0.5), (4, 4, 4, 0.2), (2, 6, 3, 1.0)))
def test_supcon_at_collapse(name, K, m, d, tau):
    n = K * m
    found = at(name, "point", samples=n // 2, dimension=d, temperature=tau, classes=K)
    expected = supcon_at_collapse(K, m, tau)
    assert_levels(found, [(expected["class"] / n, (K - 1) * (d - 1)), (expected["within"] / n, K * (m - 1) * (d - 1))])
    lost = rates(found, "ambient")[levels(found)[-1][0]]
    assert lost == pytest.approx(n * tau * (n - 1) * (m - 1) / (n - m), **EXACT)


def at_simplex(K, d, tau, Q, within, nu=2):
    """Levels of a loss at the simplex of its K classes, sum over anchors: within: [(c, directions of samples)].

    Rotations left out. Q: softmax share of all other classes.
    """
    T = 2 / tau
    means = [
        (T * Q * K / (K - 1), d - K + 1),
        (T * Q * K * (K - 2) / (K - 1) ** 2 + Q * K**2 / (tau**2 * (K - 1) ** 3) * (2 - Q * (K - 2) / (K - 1)), K - 1),
        (4 * Q * K / (tau**2 * (K - 1) ** 2), K * (K - 3) // 2),
    ]
    extra = nu * Q * K / (tau**2 * (K - 1) ** 2)
    across = K - 2 if K > 2 else 0
    inside = [(c, count * (d - 1 - across)) for c, count in within]
    return means + inside + [(c + extra, count * across) for c, count in within]


@pytest.mark.parametrize("name", ("supcon", "supcon_in"))
@pytest.mark.parametrize("K, m, d, tau", ((3, 4, 5, 0.5), (4, 4, 4, 1.0), (5, 2, 6, 0.5)))
def test_supcon_at_its_optimum(name, K, m, d, tau):
    n, s = K * m, -1 / (K - 1)
    x = math.exp(-(1 - s) / tau)
    Q = (K - 1) * m * x / (m - 1 + (K - 1) * m * x)
    T = 2 / tau
    c_w, a = T * (Q * m / (m - 1) - Q * s), -T * Q * (1 - s)
    found = at(name, "simplex", samples=n // 2, dimension=d, temperature=tau, classes=K)
    assert_levels(found, [(c / n, count) for c, count in at_simplex(K, d, tau, Q, [(c_w, K * (m - 1))])])
    assert found.pull == pytest.approx(a / n, **EXACT)
    assert found.kind == "minimum"
    for c, rate in rates(found, "tangent").items():
        assert rate == pytest.approx(2 / c, **EXACT)


@pytest.mark.parametrize("N, d, tau", ((6, 5, 0.5), (4, 4, 0.2), (5, 8, 1.0)))
def test_dcl_everywhere(N, d, tau):
    n, s = 2 * N, -1 / (N - 1)
    point = at("dcl", "point", samples=N, dimension=d, temperature=tau)
    assert_levels(point, [(-2 * n / (tau * (n - 2)) / n, (N - 1) * (d - 1)), (2 / tau / n, N * (d - 1))])
    assert rates(point, "tangent")[levels(point)[1][0]] == pytest.approx(n * tau, **EXACT)
    line = at("dcl", "line", samples=N, dimension=d, temperature=tau)
    expected = n * tau / (math.tanh(1 / tau) - 1 / (N - 1))
    assert max(rates(line, "ambient").values()) == pytest.approx(expected, **EXACT)
    found = at("dcl", "simplex", samples=N, dimension=d, temperature=tau, classes=N)  # every sample a class, Q = 1
    assert_levels(found, [(c / n, count) for c, count in at_simplex(N, d, tau, 1.0, [(2 / tau * (2 - s), N)])])
    assert found.pull == pytest.approx(-2 / tau * (1 - s) / n, **EXACT)


def test_clip_has_a_gap_between_its_towers_that_nothing_closes():
    """At collapse, by hand: together -2/tau, apart +2/tau in the sum over 2N, and both towers apart as wholes: flat."""
    N, d, tau = 5, 4, 0.5
    found = at("clip", "point", samples=N, dimension=d, temperature=tau)
    assert_levels(found, [(c / (2 * N), (N - 1) * (d - 1)) for c in (-2 / tau, 2 / tau)])
    assert found.flat == d - 1


def test_what_sees_more_than_cosines_has_its_curvatures_too():
    """The docstrings of vicreg and barlow give them."""
    N, d = 6, 3
    found = clopsim.card("vicreg", samples=N, dim=d, classes=0)
    low = found.spectrum("collapse").levels[0].curvature
    assert low == pytest.approx(-25 / (2 * d * 1e-2 * (N - 1)), **EXACT)
    assert not found.to_dict()["cosines_only"]
    assert found.spectrum("collapse").turns == 0
    found = clopsim.card("barlow", samples=N, dim=d, classes=0)
    ends = levels(found.spectrum("collapse"))
    assert [c for c, _ in ends] == pytest.approx([-2 / (N * 1e-5), 2 / (N * 1e-5)], **EXACT)
    assert "more than cosines" in found.report()


@pytest.mark.parametrize("K, m, tau, beta", ((3, 4, 0.5, 1.0), (4, 4, 0.2, 0.01)))
def test_fedrcl_is_drawn_into_a_point_above_a_rate(K, m, tau, beta):
    n, d = K * m, 5
    loss = partial(fedrcl, form="dense", threshold=-1.0, beta=beta, temperature=tau)
    found = at(loss, "point", samples=n // 2, dimension=d, classes=K)
    between = -2 / tau * n / (n - m + 1)
    within = 2 / tau * ((n - m) / ((m - 1) * (n - m + 1)) - beta)
    assert_levels(found, [(between / n, (K - 1) * (d - 1)), (within / n, K * (m - 1) * (d - 1))])
    assert found.pull == pytest.approx(2 / tau * beta * (m - 1) / m / n, **EXACT)
    if beta == 1:
        assert max(rates(found, "ambient").values()) == pytest.approx(n * 3, **EXACT)
    else:
        assert found.kind == "saddle"


def test_simo_at_collapse_and_at_right_angles():
    """Its values at K = m = 4, eps = olean = 1/137, in the form as written."""
    point = at("simo", "point", samples=8, dimension=6, classes=4)
    assert [c for c, _ in levels(point)] == pytest.approx([-173369.918, -138876.438, -180.503534], rel=1e-8)
    assert [count for _, count in levels(point)] == [3 * 5, 9 * 5, 3 * 5]
    assert point.pull == pytest.approx(942.184653, rel=1e-8)
    best = at("simo", "orthonormal", samples=8, dimension=6, classes=4)
    assert min(filter(None, rates(best, "tangent").values())) == pytest.approx(0.20190466, rel=1e-7)
    assert min(filter(None, rates(best, "ambient").values())) == pytest.approx(0.2036797, rel=1e-7)


def test_pauc_loses_its_views_where_it_should():
    n, tau = 16, 0.5
    found = at(partial(pauc, temperature=tau), "point", samples=8, dimension=6, classes=4)
    assert rates(found, "tangent")[levels(found)[-1][0]] == pytest.approx(2.727272727272727, rel=1e-8)
    assert found.pull == 0
    assert n == len(found.z)


def test_a_kink_has_no_curvature_and_a_smooth_form_of_it_has():
    """LORAC's nuclear norm on aligned views; smoothed, the curvatures are in closed form."""
    exact = at("lorac", "point")
    assert exact.levels == ()
    assert "a kink: on both sides the loss changes by" in exact.trouble
    n, tau, beta, delta = 8, 1.0, 15, 0.01
    found = at(partial(lorac, temperature=tau, beta=beta, smoothing=delta), "point", samples=n // 2, dimension=4)
    c = [-0.28969689, 0.35190429]
    assert [level for level, _ in levels(found)] == pytest.approx(c, rel=1e-7)
    assert found.pull == pytest.approx(0.01021682, rel=1e-6)  # through the matrix of rows
    assert list(rates(found, "ambient").values())[1] == pytest.approx(5.37146456, rel=1e-7)
    assert list(rates(found, "tangent").values())[1] == pytest.approx(5.68336354, rel=1e-7)


def test_a_part_without_gradient_is_noticed():
    found = at(lambda cosines: (cosines * cosines.detach()).sum(), "point")
    assert found.levels == ()
    assert "a part that passes no gradient" in found.trouble


def test_what_is_not_finite_gets_a_sentence():
    def loss(cosines):
        return (1 - 1e-9 - cosines[0, 1]).log() + cosines.exp().sum()  # of a number below 0 at collapse

    found = at(loss, "point")
    assert (found.levels, found.stationary) == ((), False)
    assert "not finite" in found.trouble
    assert "not finite" in clopsim.card(loss, samples=4, dim=3, classes=0).report()


def unequal(cosines):
    """Every pair attracts with a weight of its own."""
    numbers = torch.arange(1, len(cosines) + 1, dtype=cosines.dtype)
    return (torch.outer(numbers, numbers) * cosines.triu(1)).sum() / 10


@pytest.mark.parametrize("sign, kind, side", ((-1, "minimum", "below"), (1, "maximum", "above")))
def test_unequal_pulls_leave_one_rate_which_is_where_the_step_turns(sign, kind, side):
    """Against the Jacobian of the step itself, in the rows: its factors other than those of turns pass 1 there."""
    about = subject(lambda cosines: sign * unequal(cosines), samples=5, dimension=3, classes=0)
    z = states.point(about)
    found = spectrum(about, z, name="collapse", title="", scale=1.0, turns=True)
    assert (found.kind, found.pull) == (kind, None)
    (whole,) = (each for each in found.criticals() if each.gradient == "ambient")
    if whole.rate is None:  # outward pulls hold the minimum
        assert kind == "minimum"
        grid = (0.1, 1.0, 10.0, 1000.0)
        assert all(spread(about, z, rate) < 1 for rate in grid)
        return
    assert (whole.curvature, whole.side) == (None, side)
    assert (spread(about, z, 0.999 * whole.rate) < 1) == (side == "below")
    assert (spread(about, z, 1.001 * whole.rate) < 1) == (side == "above")
    assert all(check.agrees for check in simulation.check(about, found, whole))


def test_an_optimum_with_unequal_pulls_has_its_rate_too():
    about = subject("merged", samples=7, dimension=3)
    found = portrait(about).spectra["optimum"]
    assert (found.kind, found.pull) == ("minimum", None)
    (whole,) = (each for each in found.criticals() if each.gradient == "ambient")
    assert spread(about, found.z, 0.999 * whole.rate) < 1
    assert spread(about, found.z, 1.001 * whole.rate) > 1


def spread(about, z, rate):
    """Largest size of a factor of one ambient step but for the turns, each of which has 1: by a Jacobian."""

    def step(u):
        return simulation.step(u, torch.func.grad(about.value)(u), rate, "ambient")

    n, d = z.shape
    frames = calculus.tangent_frames(z)
    jacobian = torch.func.jacrev(step)(z)
    signs = (step(z) * z).sum(dim=-1).sign()
    inside = torch.einsum("i,iap,iajb,jbq->ipjq", signs, frames, jacobian, frames).reshape(n * (d - 1), -1)
    factors = torch.linalg.eigvals(inside)
    away = (factors - 1).abs().sort().values
    turns = states.rotations(about, z)
    assert away[turns - 1] < 1e-6 < away[turns]
    return float(factors[(factors - 1).abs() > 1e-6].abs().max())


def test_a_rate_five_percent_off_is_noticed():
    about, found = subject("infonce"), at("infonce", "line")
    (right,) = (each for each in found.criticals() if each.rate == max(rates(found, "ambient").values()))
    assert all(check.agrees for check in simulation.check(about, found, right))
    for factor in (0.95, 1.05):
        wrong = Critical(**{**right._asdict(), "rate": factor * right.rate})
        assert not all(check.agrees for check in simulation.check(about, found, wrong))


@pytest.mark.parametrize("name", ("merged", *LOSSES))
def test_every_loss_has_a_card_and_its_rates_are_where_they_are_predicted(name):
    found = clopsim.card(name, samples=6, dim=5, classes=3)
    assert found.holds, found.report()
    smooth = {"lorac", "fedrcl"}
    assert bool([rated for rated in found.rates if rated.checks]) == (name not in smooth)
    document = found.to_dict()
    cosines_only = name == "merged" or (LOSSES[name].cosine_only and not LOSSES[name].fixed_directions)
    assert document["cosines_only"] == cosines_only
    lines = found.report().splitlines()
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    if name not in smooth and document["cosines_only"]:
        assert next(each for each in document["stationary"] if each["at"] == "complete collapse")["stationary"]


def test_a_registered_function_with_its_options_is_known():
    """With its form in the rows, so that it has an ambient gradient."""
    for function, name in ((partial(info_nce, temperature=0.2), "infonce"), (partial(dcl, temperature=0.2), "dcl"),
                           (partial(supcon, form="in", temperature=0.2), "supcon_in")):  # fmt: skip
        one = at(function, "line", classes=3)
        other = at(name, "line", classes=3, temperature=0.2)
        assert levels(one) == levels(other)
        assert one.has_ambient


@pytest.mark.parametrize("K, m, d, tau, weight", ((4, 8, 8, 0.5, 3.2823), (5, 4, 9, 1.0, 0.8043)))
def test_merged_critical_weight_is_that_of_t9(K, m, d, tau, weight):
    n, exact = K * m, critical_weight(classes=K, per_class=m, temperature=tau, dimension=d)
    found = portrait(subject("merged", samples=n, dimension=d, temperature=tau, classes=K)).weights
    assert found.lambda_star / n == pytest.approx(weight, abs=5e-5)
    assert found.lambda_star / n == pytest.approx(exact, rel=1e-8)


def test_weights_of_the_zoo():
    """Found by others before: lambda* and lambda_infinity of FedRCL and BLCL, means over anchors as the weight is."""
    from clopsim.cards.weights import critical_weights

    dense = partial(fedrcl, form="dense", threshold=-1.0, temperature=0.5)
    found = critical_weights(subject(dense, samples=6, dimension=6, classes=3), scale=0.1)
    assert (found.lambda_star, found.lambda_infinity) == (
        pytest.approx(1.77821, abs=5e-6), pytest.approx(5.67, abs=5e-3),
    )  # fmt: skip
    found = critical_weights(subject("blcl", samples=6, dimension=6, classes=3), scale=0.1)
    assert (found.lambda_star, found.lambda_infinity) == (0, pytest.approx(0.63, abs=5e-3))


def test_any_rows_of_ones_own_have_a_spectrum():
    """A point elsewhere than the card's, at other lengths: the same levels."""
    found = clopsim.card("infonce", samples=3, dim=3, classes=0)
    there = found.spectrum([[0.0, 2.0, 0.0]] * 6)
    assert levels(there) == [pytest.approx(level) for level in levels(found.spectrum("collapse"))]
    assert not found.spectrum(torch.eye(6)[:, :3] + 1).stationary
    for rows in ([[0.0, 1.0]] * 6, [[0.0, 0.0, 0.0]] * 6, [[math.nan, 0.0, 1.0]] * 6):
        with pytest.raises(ValueError, match="state must"):
            found.spectrum(rows)
