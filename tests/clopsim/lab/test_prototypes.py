"""Two to eight classes, orthonormal prototypes or a simplex: steps, states, weights and rates are Python's."""

import itertools
import math

import numpy as np
import pytest
import torch

from clopsim import OrthonormalPrototypes
from clopsim.bounds import Setting
from clopsim.bounds.class_losses import class_loss
from clopsim.bounds.class_state import class_critical_weight, class_state
from clopsim.bounds.effective_rate import attracting_rates
from clopsim.bounds.equiangular import equiangular_critical_weight, equiangular_equilibrium
from clopsim.bounds.rescue import leading_share_bound
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

KINDS = ("orthonormal", "simplex")
SHAPES = [  # kind, K, d: room to spare, none, and a corner more than dimensions
    ("orthonormal", 2, 3), ("orthonormal", 3, 3), ("orthonormal", 4, 6), ("orthonormal", 8, 8),
    ("simplex", 2, 3), ("simplex", 3, 3), ("simplex", 4, 3), ("simplex", 5, 7), ("simplex", 8, 8),
]  # fmt: skip


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays, with its own settings again afterwards."""
    lab("() => { clopsim.pause(); clopsim.visit(null); clopsim.set(settings.INITIAL) }")
    yield lab
    lab("() => clopsim.set(settings.INITIAL)")


def vectors(lab, kind, K, d):
    rows = lab("([s, d]) => clopsim.physics.prototypes(s, d).map((c) => [...c])", {"classes": K, "prototypes": kind}, d)
    return torch.tensor(rows, dtype=torch.float64)


def labels(n, K):
    """The two views of sample k belong to class k mod K."""
    return torch.arange(n) % (n // 2) % K


def cosine(kind, K):
    return -1 / (K - 1) if kind == "simplex" else 0.0


@pytest.mark.parametrize("kind, K, d", SHAPES)
def test_the_prototypes_have_python_s_cosines(lab, kind, K, d):
    page = vectors(lab, kind, K, d)
    expected = OrthonormalPrototypes(K, d, kind=kind, dtype=torch.float64).vectors
    torch.testing.assert_close(page @ page.T, expected @ expected.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind, K, d", SHAPES)
@pytest.mark.parametrize("loss, form", [("merged", "ambient"), ("full", "tangent")])
def test_steps_and_observables_are_python_s(lab, loss, form, kind, K, d):
    n, tau, weight = 28, 0.4, 2.5
    setting = Setting(tau, d, n, loss=loss, gradient=form)
    z, c = starts.random_directions(setting, seed=K), vectors(lab, kind, K, d)
    s = {
        "n": n,
        "tau": tau,
        "loss": loss,
        "gradient": form,
        "lambda": weight,
        "dim": d,
        "classes": K,
        "prototypes": kind,
    }
    lab("([s, u]) => { clopsim.set(s); clopsim.load(u) }", {**s, "x": 0.3}, z.flatten().tolist())
    lab("clopsim.step(4)")
    state, own = lab.state(), c[labels(n, K)]
    for _ in range(4):
        z = step(z, state["rate"], tau, setting, prototypes=weight * own)
    np.testing.assert_allclose(state["u"], z.flatten().numpy(), rtol=0, atol=1e-12)
    assert state["prototype"] == pytest.approx(float((z * own).sum(dim=1).mean()), abs=1e-12)
    seen = lab("([z, n, s]) => clopsim.outcome.classes(Float64Array.from(z), n, s)", state["u"], n, s)
    means = torch.stack([z[labels(n, K) == k].mean(dim=0) for k in range(K)])[labels(n, K)]
    assert seen["lowest"] == pytest.approx(float((z * own).sum(dim=1).min()), abs=1e-12)
    assert seen["within"] == pytest.approx(float((z - means).norm(dim=1).max()), abs=1e-12)


@pytest.mark.parametrize("kind, K, d", SHAPES)
@pytest.mark.parametrize("loss", ("merged", "full"))
def test_equilibrium_and_critical_weight_are_python_s(lab, loss, kind, K, d):
    for samples, tau in itertools.product((1, 2, 9), (0.05, 0.5, 2.0)):
        m = 2 * samples
        shape = {"classes": K, "per_class": m, "temperature": tau, "dimension": d}
        s = {"n": K * m, "tau": tau, "loss": loss, "dim": d, "classes": K, "prototypes": kind}
        critical = equiangular_critical_weight(prototype_cosine=cosine(kind, K), **shape)
        expected = critical if loss == "merged" or m > 2 else 0
        assert lab("([s]) => clopsim.theory.criticalWeight(s)", s) == pytest.approx(expected, rel=1e-12)
        for weight in (0.3, 4.0, 20.0):
            page = lab("([s]) => clopsim.theory.equilibrium(s)", {**s, "lambda": weight})
            state = equiangular_equilibrium(weight, prototype_cosine=cosine(kind, K), allow_unstable=True, **shape)
            assert page["angle"] == pytest.approx(state.angle, rel=1e-9, abs=1e-12)
            assert page["cosine"] == pytest.approx(state.cosine, abs=1e-12)
            assert page["rank"] == pytest.approx(state.effective_rank, rel=1e-12)
            assert page["R"] == pytest.approx(math.sqrt(max(0, 1 + (K - 1) * state.cosine) / K), abs=1e-7)


@pytest.mark.parametrize("K, d, m", [(2, 3, 6), (3, 3, 4), (4, 6, 16), (3, 5, 2)])
def test_of_the_full_loss_it_is_t29_s(lab, K, d, m):
    for tau in (0.2, 1.0):
        of = class_loss("nt_xent", classes=K, per_class=m, temperature=tau)
        s = {"n": K * m, "tau": tau, "loss": "full", "dim": d, "classes": K}
        page = lab("([s]) => clopsim.theory.criticalWeight(s)", s)
        assert page == pytest.approx(class_critical_weight(of, dimension=d), rel=1e-9)


def test_classes_of_different_size_have_no_closed_form(lab):
    for name in ("criticalWeight", "equilibrium"):
        assert lab(f"() => clopsim.theory.{name}({{ n: 60, tau: 0.5, lambda: 4, dim: 4, classes: 4 }})") is None


def held_rates(lab, s):
    return lab("([s]) => clopsim.theory.thresholds(s).held", s)


@pytest.mark.parametrize("kind, K, d", [*SHAPES, ("orthonormal", 3, 5), ("simplex", 2, 4), ("orthonormal", 2, 6)])
@pytest.mark.parametrize("loss", ("merged", "nt_xent"))
def test_the_rate_at_which_classes_let_go_is_t29_s(lab, loss, kind, K, d):
    finite = 0
    for form, m, tau, weight in itertools.product(("ambient", "tangent"), (2, 8), (0.2, 1.0), (0.5, 3.0, 12.0)):
        of = class_loss(loss, classes=K, per_class=m, temperature=tau)
        if kind == "orthonormal":
            state = class_state(of, dimension=d, weight=weight)
            curvatures, pull = state.curvatures, state.pull
        else:  # held at its corners, a simplex adds the weight to each curvature of the free one, turns included
            state = class_state(of, dimension=d)
            curvatures, pull = [c + weight for c in state.curvatures], state.pull - weight
        expected = None
        if min(curvatures) > 0:
            expected = attracting_rates(curvatures, pull=pull, gradient=form).below
        s = {
            "n": K * m, "tau": tau, "loss": "full" if loss == "nt_xent" else "merged", "gradient": form, "dim": d,
            "classes": K, "prototypes": kind, "lambda": weight,
        }  # fmt: skip
        page = held_rates(lab, s)
        assert page == (None if expected is None else pytest.approx(expected, rel=1e-9)), (form, m, tau, weight)
        finite += expected is not None and expected < math.inf
        star = lab("([s]) => clopsim.theory.criticalWeight(s)", s)
        assert (page is None) == (weight <= star)
    assert finite > 3


PERTURB = """([s, weights]) => {  // T8's state, a little perturbed, after some steps: how far it is from where it was
    const { angle } = clopsim.theory.equilibrium(s), c = clopsim.physics.prototypes(s, s.dim), K = c.length;
    const points = new Float64Array(s.n * s.dim);
    for (let i = 0; i < s.n; i++)
        c.forEach((row, k) => row.forEach((x, j) => {
            const own = clopsim.physics.label(i, s.n, K) === k;
            points[s.dim * i + j] += x * (own ? Math.cos(angle) : -Math.sin(angle) / Math.sqrt(K - 1));
        }));
    let run = { ...s, u: clopsim.physics.perturbed(points, 1e-6, s.n), v: null, count: 0 };
    for (let k = 0; k < 400; k++) run = clopsim.physics.step(run);
    return Math.sqrt(run.u.reduce((sum, x, k) => sum + (x - points[k]) ** 2, 0) / s.n);
}"""


@pytest.mark.parametrize(
    "kind, K, d", [("orthonormal", 3, 3), ("orthonormal", 2, 4), ("simplex", 3, 3), ("simplex", 4, 3)]
)
@pytest.mark.parametrize("form, beta", [("ambient", 0), ("tangent", 0), ("tangent", 0.5), ("ambient", 0.5)])
@pytest.mark.parametrize("loss", ("merged", "full"))
def test_classes_let_go_above_that_rate_and_not_below(lab, loss, form, beta, kind, K, d):
    s = {
        "n": 8 * K, "tau": 0.5, "loss": loss, "gradient": form, "dim": d, "classes": K, "prototypes": kind,
        "lambda": 4.3, "momentum": beta,
    }  # fmt: skip
    held = held_rates(lab, s)
    assert held < math.inf or form == "ambient"
    for factor, holds in ((0.97, True), (1.03, False)) if held < math.inf else ():
        assert (lab(PERTURB, {**s, "rate": factor * held}) < 1e-6) == holds, factor


@pytest.mark.parametrize("K", (2, 4, 8))
def test_the_share_after_a_rescue_is_python_s(lab, K):
    s = {"rate": 2.0, "tau": 0.5, "lambda": 9.0, "loss": "merged", "classes": K}
    bound = lab("([s]) => clopsim.theory.rescue(s)", s)
    assert bound["share"] == pytest.approx(leading_share_bound(bound["angle"], K), rel=1e-12)
    simplex = lab("([s]) => clopsim.theory.rescue(s)", {**s, "prototypes": "simplex"})
    assert (simplex["angle"], simplex["share"]) == (bound["angle"], None)


@pytest.mark.parametrize("form", ("ambient", "tangent"))
def test_the_rate_of_supcon_s_simplex_is_python_s_for_any_number_of_classes(lab, form):
    for K, m, tau, spare in itertools.product((2, 3, 4, 8), (2, 10), (0.1, 1.0), (0, 3)):
        d = max(3, K - 1 + spare)
        state = class_state(class_loss("supcon", classes=K, per_class=m, temperature=tau), dimension=d)
        rates = attracting_rates([c for c in state.curvatures if c], pull=state.pull, gradient=form)
        s = {"n": K * m, "tau": tau, "loss": "supcon", "gradient": form, "dim": d, "classes": K}
        exact = 1e-12 if rates.below < 1e3 else 1e-7  # Python's difference of two numbers near 1 is not
        assert lab("([s]) => clopsim.theory.thresholds(s)", s)["places"][0]["below"] == pytest.approx(
            rates.below, rel=exact
        )


@pytest.mark.parametrize(
    "kind, K, d", [("orthonormal", 3, 3), ("orthonormal", 2, 4), ("simplex", 3, 3), ("simplex", 4, 3)]
)
@pytest.mark.parametrize("factor, gathers", [(0.97, False), (1.03, True)])
def test_each_class_falls_onto_one_point_above_the_critical_weight(here, kind, K, d, factor, gathers):
    n = 16 * K
    s = {
        "n": n, "dim": d, "classes": K, "prototypes": kind, "tau": 0.5, "x": 0.35, "gradient": "tangent",
        "loss": "merged", "momentum": 0, "start": "random",
    }  # fmt: skip
    star = here("([s]) => { clopsim.set(s); return clopsim.theory.criticalWeight(s) }", s)
    here("([weight]) => { clopsim.set({ lambda: weight }); clopsim.reset() }", factor * star)
    here("clopsim.step(1200)")
    state = here.state()
    within = here("([z, n, s]) => clopsim.outcome.classes(Float64Array.from(z), n, s).within", state["u"], n, s)
    assert (within < 1e-4) if gathers else (within > 0.05)
    assert state["verdict"] == "as predicted"
    said = here.page.locator("#theory").text_content()
    assert ("Above λ* = " if gathers else "Below λ* = ") in said
    if gathers:
        z = torch.tensor(state["u"], dtype=torch.float64).reshape(n, d)
        assert state["rank"] == pytest.approx(state["prediction"]["rank"], abs=1e-3)
        apart = math.degrees(math.acos(float(z[0] @ z[1])))
        assert f"{apart:.0f}° from the others" in said
        assert float(geometry.mean_resultant_length(z)) == pytest.approx(state["prediction"]["R"], abs=1e-3)


def test_classes_that_rest_on_a_point_below_the_critical_weight_are_not_as_predicted_yet(here):
    s = {"lambda": 2.5, "classes": 3, "prototypes": "simplex", "gradient": "tangent", "x": 0.3}
    here("([s]) => clopsim.set(s)", s)
    z = vectors(here, "simplex", 3, 3)[labels(60, 3)]
    here("([u]) => clopsim.load(clopsim.physics.perturbed(Float64Array.from(u), 1e-9))", z.flatten().tolist())
    here("clopsim.step(5)")
    assert here.state()["verdict"] == "on its way"
    here("clopsim.step(600)")
    assert here.state()["verdict"] == "as predicted"


def test_two_corners_lie_opposite_where_even_collapse_is_at_rest(here):
    """T6 needs two directions: a run put on a corner of a simplex of two stays there, and is not called wrong."""
    here("() => clopsim.set({ lambda: 3, classes: 2, prototypes: 'simplex', gradient: 'tangent', x: 0.3 })")
    corner = vectors(here, "simplex", 2, 3)[:1].expand(60, 3)
    here("([u]) => clopsim.load(u)", corner.flatten().tolist())
    here("clopsim.step(50)")
    state = here.state()
    assert (state["state"], state["kind"]) == ("point", "elsewhere")
    assert "T6" not in here.page.locator("#theory").text_content()
    here("() => { clopsim.set({ lambda: 6 }); clopsim.reset() }")
    here("clopsim.step(300)")
    state = here.state()
    assert (state["state"], state["verdict"]) == ("line", "as predicted")
    assert state["rank"] == pytest.approx(1, abs=1e-3)
