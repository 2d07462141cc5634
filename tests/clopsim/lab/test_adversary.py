"""ADT in the page: the thresholds of full InfoNCE by the curvatures that its adversary leaves, and runs that obey them.

Its loss and steps are held to torch's in test_zoo.py.
"""

import math
from itertools import product

import numpy as np
import pytest

from clopsim.bounds import (
    Setting,
    adversarial_attraction,
    adversarial_curvature,
    adversarial_swap,
    apart_curvature,
    critical_rate,
    harmonic_spectrum,
    line_multipliers,
    self_exclusion,
    together_curvature,
)
from clopsim.bounds.effective_rate import multiplier
from clopsim.bounds.heavy_ball import flip_rate
from clopsim.bounds.uniform import radial_rate

TAU = 0.5


def shifted(curvature: float, tau: float) -> float:
    found = adversarial_curvature(curvature, reach=tau / 16)
    assert found is not None
    return found


def antipodal(tau: float, n: int) -> tuple[float, float]:
    """Curvature that binds first at the line of full InfoNCE, and the pull: what T12's factors say at one rate."""
    rate, full = 0.1 * tau, Setting(tau, 3, n, loss="full")
    factors = line_multipliers(rate, full)
    pull = (1 - 1 / float(factors.common)) / rate
    return (1 - float(factors.together)) / float(factors.common) / rate, pull


@pytest.mark.parametrize("d, beta", [(3, 0.0), (16, 0.0), (3, 0.4)])
@pytest.mark.parametrize("form", ("ambient", "tangent", "free"))
def test_thresholds_are_those_of_the_curvatures_that_are_left(lab, form, d, beta):
    for tau, n in product((0.05, 0.2, 0.5, 2.0), (6, 60, 200)):
        plain = Setting(tau, d, n, loss="full", gradient="tangent" if form == "free" else form)
        s = {"tau": tau, "n": n, "loss": "adt", "gradient": form, "dim": d, "momentum": beta}
        page, base = (lab("([s]) => clopsim.theory.thresholds(s)", {**s, "loss": loss}) for loss in ("adt", "full"))
        few = bool(np.isnan(self_exclusion(plain)))
        e, rho = harmonic_spectrum(plain, limit=few).e, radial_rate(plain, limit=few)
        assert 4 / tau >= e.max()  # so that 4/tau is where the adversary comes closest to running away
        breaks, parts = (flip_rate(shifted(c, tau), rho, momentum=beta) for c in (float(e.max()), 4 / tau))
        expected = {
            "uniform": breaks if math.isfinite(breaks) else None, "alignment": parts,
            "alignmentAtCollapse": 2 * (1 + beta) / shifted(float(apart_curvature(plain)), tau),
        }  # fmt: skip
        for name, value in expected.items():
            assert page[name] == (None if value is None else pytest.approx(value, rel=1e-9)), (name, tau, n)
        if beta == 0:
            c, pull = antipodal(tau, n)
            line = critical_rate(shifted(c, tau), pull=pull, gradient="ambient") if form == "ambient" else None
            assert page["line"] == (None if line is None else pytest.approx(line, rel=1e-9)), (tau, n)
        assert page["collapse"] is None
        assert page["degree"] == (int(e.argmax()) + 1 if math.isfinite(breaks) else None)
        assert (page["unit"], page["tooSmall"]) == (base["unit"], base["tooSmall"])


def test_swap_and_free_norm_are_python_s(lab):
    for tau, rate in product((0.1, 0.5), (0.2, 0.3, 0.6, 2.0)):
        s = {"loss": "adt", "tau": tau, "rate": rate * tau, "decay": 0.1}
        options = {"temperature": tau, "reach": tau / 16}
        page = lab("([s]) => clopsim.theory.swapCosine(s)", s)
        assert page == pytest.approx(adversarial_swap(rate * tau, **options), rel=1e-12)
        page = lab("([s]) => clopsim.theory.freeNorm(s)", s)
        assert page["cosine"] == pytest.approx(1 - 0.1 * rate * tau, rel=1e-12)
        expected = 2 * rate * adversarial_attraction(page["cosine"], **options)
        assert page["squaredNorm"] == pytest.approx(expected, rel=1e-12)


# ---- the loss itself beside these curvatures ----


def unit(z: np.ndarray) -> np.ndarray:
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def deviations(n: int, kind: str, size: float = 1e-4) -> np.ndarray:
    """(n, 3), across the first axis: samples spread about it with their views alike, or opposite."""
    half = np.random.default_rng(n).normal(size=(n // 2, 2))
    half -= half.mean(axis=0)
    both = np.vstack([half, half if kind == "together" else -half])
    return size * np.hstack([np.zeros((n, 1)), both])


@pytest.mark.parametrize("n", (6, 24))
@pytest.mark.parametrize("form", ("ambient", "tangent"))
@pytest.mark.parametrize("state, kind", [("point", "together"), ("point", "apart"), ("line", "together")])
def test_a_step_multiplies_what_deviates_by_theory_s_factor(lab, state, kind, form, n):
    """At complete collapse and at the antipodal line, whose curvatures are exact at any n."""
    rate = 0.15 * TAU
    ends = np.outer(np.where((np.arange(n) < n // 2) | (state == "point"), 1, -1), np.eye(3)[0])
    moved = deviations(n, kind)
    s = {"n": n, "tau": TAU, "loss": "adt", "gradient": form, "lambda": 0, "decay": 0, "rate": rate, "count": 0}
    after = lab(
        "([u, s]) => [...clopsim.physics.step({ ...s, u: Float64Array.from(u) }).u]",
        unit(ends + moved).flatten().tolist(), s,
    )  # fmt: skip
    z = np.reshape(after, (n, 3))
    measured = float((z[:, 1:] * moved[:, 1:]).sum() / (moved**2).sum())
    full = Setting(TAU, 3, n, loss="full")
    c, pull = antipodal(TAU, n) if state == "line" else (
        float((together_curvature if kind == "together" else apart_curvature)(full)), 0.0
    )  # fmt: skip
    expected = multiplier(rate, curvature=shifted(c, TAU), pull=pull, gradient=form)
    assert measured - 1 == pytest.approx(float(expected) - 1, rel=1e-5)
    assert measured - 1 != pytest.approx(float(multiplier(rate, curvature=c, pull=pull, gradient=form)) - 1, rel=0.05)
    factors = lab(f"([s]) => clopsim.stability.{'line(s)' if state == 'line' else f'collapse(s).{kind}'}", s)
    if state == "point" or form == "ambient":
        assert factors == pytest.approx(abs(float(expected)), rel=1e-9)


# ---- runs in the page ----


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays, with the paper's loss again afterwards."""
    lab("() => { clopsim.pause(); clopsim.visit(null) }")
    yield lab
    lab("() => clopsim.set({ loss: 'merged', gradient: 'ambient', momentum: 0 })")


@pytest.mark.parametrize("form, beta", [("tangent", 0), ("tangent", 0.4), ("ambient", 0)])
def test_views_part_above_the_lower_rate_alone(here, form, beta):
    """3 % to either side; full InfoNCE, a third higher, keeps them together on both."""
    plain = {"gradient": form, "n": 60, "tau": TAU, "lambda": 0, "momentum": beta, "dim": 3, "start": "views"}
    for loss, factor in product(("adt", "full"), (0.97, 1.03)):
        here("([s]) => { clopsim.set(s); clopsim.reset() }", {**plain, "loss": "adt", "x": 1})
        rates = here("[clopsim.state.thresholds].map(({ alignment, unit }) => [alignment, unit])[0]")
        here("([s]) => { clopsim.set(s); clopsim.reset() }", {"loss": loss, "x": factor * rates[0] / rates[1]})
        here("clopsim.step(500)")
        state, parts = here.state(), loss == "adt" and factor > 1
        assert state["rate"] == pytest.approx(factor * rates[0], rel=1e-9)
        assert (state["view"] < 0.999) == parts
        assert state["kind"] != "not-predicted"
        if not parts:
            assert state["verdict"] == "as predicted"


def test_views_swap_at_the_cosine_that_is_predicted(here):
    plain = {"gradient": "tangent", "n": 60, "tau": 2, "lambda": 0, "momentum": 0, "dim": 3, "start": "views"}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", {**plain, "loss": "adt", "x": 0.5})
    here("clopsim.step(300)")
    state = here.state()
    expected = adversarial_swap(state["rate"], temperature=2, reach=2 / 16)
    assert expected < 0.9
    assert (state["verdict"], state["prediction"]["view"]) == ("as predicted", pytest.approx(expected, rel=1e-12))
    assert state["view"] == pytest.approx(expected, abs=0.01)
    assert f"at cosine {expected:.2f} (T40)" in state["prediction"]["text"]


def test_a_free_norm_with_decay_circulates_about_its_swap(here):
    plain = {"gradient": "free", "decay": 0.1, "n": 60, "tau": TAU, "lambda": 0, "momentum": 0, "dim": 3}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", {**plain, "loss": "adt", "x": 2, "start": "views"})
    here("clopsim.step(500)")
    state = here.state()
    cosine = 1 - 0.1 * state["rate"]
    norm = 2 * state["rate"] / TAU * adversarial_attraction(cosine, temperature=TAU, reach=TAU / 16)
    assert state["prediction"]["norm"] == pytest.approx(norm, rel=1e-12)
    assert norm > 1.2 * 2 * state["rate"] / TAU  # than without him
    assert (state["norm"], state["view"]) == (pytest.approx(norm, rel=0.02), pytest.approx(cosine, abs=0.01))
    assert state["verdict"] == "as predicted"
    here("clopsim.set({ decay: 0 })")


@pytest.mark.parametrize("beta", (0, 0.2))
def test_the_line_attracts_above_its_rate_alone(here, beta):
    plain = {"gradient": "ambient", "n": 60, "tau": TAU, "lambda": 0, "momentum": beta, "dim": 3, "loss": "adt", "x": 1}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    line, base = (
        here("([loss]) => clopsim.theory.thresholds({ ...clopsim.state.settings, loss }).line", loss)
        for loss in ("adt", "full")
    )
    assert line < 0.6 * base
    u = unit(np.outer(np.where(np.arange(60) < 30, 1, -1), np.eye(3)[0]) + deviations(60, "together", 1e-3))
    for factor in (0.97, 1.03):
        here("([x]) => { clopsim.set({ x }); clopsim.reset() }", factor * line / here.state()["thresholds"]["unit"])
        here("([u]) => clopsim.load(u)", u.flatten().tolist())
        here("clopsim.step(600)")
        state = here.state()
        assert (state["state"] == "line") == (factor > 1)
        assert state["kind"] != "not-predicted"
        if factor > 1:
            assert (state["verdict"], state["prediction"]["phase"]) == ("as predicted", "either")


@pytest.mark.parametrize("x", (0.1, 1, 16))
def test_a_run_leaves_collapse_at_any_rate(here, x):
    plain = {"gradient": "tangent", "n": 60, "tau": TAU, "lambda": 0, "momentum": 0, "dim": 3, "start": "collapse"}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", {**plain, "loss": "adt", "x": x})
    here("clopsim.step(200)")
    assert here.state()["state"] not in ("point", "diverged")


def test_what_the_adversary_does_is_said(here):
    here("clopsim.set({ loss: 'adt', gradient: 'ambient', n: 60, tau: 0.5, x: 0.3, lambda: 0 })")
    text = here.page.locator("#theory").text_content()
    assert "slows the escape from collapse" in text
    assert "lowers the rates at which views part and a line attracts (T40)" in text
    assert here.page.locator("#about").text_content().startswith("ADT: Full InfoNCE at the best moves of an adversary")
    here("clopsim.set({ gradient: 'tangent' })")
    assert "a line attracts" not in here.page.locator("#theory").text_content()
    here("clopsim.set({ lambda: 2 })")
    assert "For ADT with prototypes there is no theory in the lab." in here.page.locator("#theory").text_content()


@pytest.mark.parametrize("n, tau", [(6, 0.05), (24, 0.05), (200, 2)])
def test_where_his_best_move_is_not_one_the_page_stays_finite(lab, n, tau):
    """Few points at the lowest temperature curve more than he pays for; his moves stay bounded all the same."""
    s = {
        "n": n,
        "tau": tau,
        "loss": "adt",
        "gradient": "ambient",
        "lambda": 0,
        "dim": 3,
        "seed": 3,
        "count": 0,
        "momentum": 0,
    }
    found = lab(
        """([s]) => {
            let run = { ...s, u: clopsim.physics.start('random', { ...s, safeRate: 0.1 }), rate: s.tau };
            for (let k = 0; k < 20; k++) run = clopsim.physics.step(run);
            return [...run.u, run.lossBefore];
        }""",
        s,
    )
    assert np.isfinite(found).all()


def test_a_network_trains_under_the_adversary(here):
    here("clopsim.set({ loss: 'adt', network: 'on', n: 24, tau: 0.5, x: 1, lambda: 0, decay: 0, momentum: 0 })")
    before = here.state()["loss"]
    here("clopsim.step(60)")
    state = here.state()
    assert state["loss"] < before - 0.05
    assert state["kind"] == "silent"
    here("clopsim.set({ network: 'off' })")
