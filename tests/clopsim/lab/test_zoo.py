"""The zoo's losses in the page: torch's losses and steps, the rates of bounds, and runs that end as these say."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clopsim.bounds.anti_collapse import coding_optimum
from clopsim.bounds.class_losses import class_loss
from clopsim.bounds.class_state import class_state
from clopsim.bounds.effective_rate import AttractingRates, attracting_rates, critical_rate
from clopsim.bounds.line import line_state
from clopsim.bounds.line_slopes import line_slopes
from clopsim.bounds.lorac import lorac_collapse, lorac_line
from clopsim.bounds.pauc import PaucSetting
from clopsim.bounds.pauc_spectra import pauc_simplex
from clopsim.bounds.relaxed_penalty import relaxed_collapse
from clopsim.bounds.simo import simo_optimum
from clopsim.bounds.trimming import trimmed_volume_rate
from clopsim.bounds.unhinged import unhinged_pull, unhinged_rate, unhinged_swap
from clopsim.losses.adversarial import adversarial_of_rows
from clopsim.losses.anti_collapse import anti_collapse_of_rows
from clopsim.losses.blcl import blcl_of_rows
from clopsim.losses.fedrcl import fedrcl_of_rows
from clopsim.losses.l_statistic import l_statistic_of_rows
from clopsim.losses.lorac import lorac_of_rows
from clopsim.losses.pauc import pauc_of_rows
from clopsim.losses.simo import simo_of_rows
from clopsim.losses.sscl import sscl_of_rows
from clopsim.losses.unhinged import simplex_axes, unhinged_of_rows

N = 24
TAU = 0.4


def simplex(z: Tensor, K: int = 3) -> Tensor:
    """K class directions in the first K axes."""
    return torch.nn.functional.pad(simplex_axes(torch.ones(1, K, dtype=z.dtype)), (0, z.shape[1] - K))


def merged(z: Tensor, labels: Tensor | None = None, *, temperature: float, reduction: str) -> Tensor:
    """The paper's merged loss, anchor by anchor."""
    assert reduction == "none"
    others = ~torch.eye(len(z), dtype=torch.bool)
    return torch.stack([torch.logsumexp(z[others[i]] @ z[i] / temperature, dim=0) for i in range(len(z))])


# the loss that the page descends, of unit rows z and their labels y
SUMMED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sscl": lambda z, y: sscl_of_rows(z, y, temperature=TAU, reduction="sum"),
    "fedrcl": lambda z, y: fedrcl_of_rows(z, y, temperature=TAU, form="dense", threshold=-1.0, reduction="sum"),
    "blcl": lambda z, y: blcl_of_rows(z, y, temperature=TAU, reduction="sum"),
    "unhinged": lambda z, y: len(z) * unhinged_of_rows(z, y, directions=simplex(z, int(y.max()) + 1)),
    "simo": lambda z, y: simo_of_rows(z, y),
    "antiCollapse": lambda z, y: len(z) * anti_collapse_of_rows(z),
    "lorac": lambda z, y: lorac_of_rows(z, temperature=TAU, smoothing=0.01, reduction="sum"),
    "pauc": lambda z, y: len(z) * pauc_of_rows(z, y, temperature=TAU),
    "trimmed": lambda z, y: l_statistic_of_rows(z, base=merged, temperature=TAU, reduction="sum"),
    "adt": lambda z, y: adversarial_of_rows(
        z, sigma=math.sqrt(TAU) / 4, entropy=1.0, steps=60, temperature=TAU, reduction="sum"
    ),
}


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays, with the paper's loss again afterwards."""
    lab("() => { clopsim.pause(); clopsim.visit(null) }")
    yield lab
    lab("() => clopsim.set({ loss: 'merged', gradient: 'ambient', lambda: 0, momentum: 0, dim: 3, classes: 3 })")


def labels(n: int, K: int = 3) -> Tensor:
    return torch.arange(n) % (n // 2) % K


def stepped(page: Any, u: Tensor, s: dict[str, Any]) -> tuple[list[float], float]:
    return page(
        """([u, s]) => {
            const next = clopsim.physics.step({ ...s, u: Float64Array.from(u) });
            return [[...next.u], next.lossBefore];
        }""",
        u.flatten().tolist(), s,
    )  # fmt: skip


@pytest.mark.parametrize("n, d, K", [(N, 3, 3), (20, 3, 3), (N, 6, 3), (20, 6, 4), (N, 3, 2)])  # 20: of unequal size
@pytest.mark.parametrize("form", ("ambient", "tangent", "free"))
@pytest.mark.parametrize("name", SUMMED)
def test_loss_and_step_are_torch_s(lab, name, form, n, d, K):
    rng = np.random.default_rng(d)
    u = torch.tensor(rng.normal(size=(n, d)), dtype=torch.float64)
    u = u if form == "free" else u / u.norm(dim=1, keepdim=True)
    s = {"n": n, "tau": TAU, "loss": name, "gradient": form, "lambda": 0, "decay": 0, "rate": 0.02}
    s |= {"count": 0, "classes": K}
    after, loss = stepped(lab, u, s)
    free = u.clone().requires_grad_()
    z = free if form == "ambient" else free / free.norm(dim=1, keepdim=True)
    total = SUMMED[name](z, labels(n, K))
    moved = u - 0.02 * torch.autograd.grad(total, free)[0]
    moved = moved if form == "free" else moved / moved.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(after, moved.flatten().numpy(), rtol=0, atol=1e-12)
    assert loss == pytest.approx(total.item() / n, rel=1e-12)


@pytest.mark.parametrize("name", SUMMED)
def test_the_loss_on_one_spot_is_the_loss_there(lab, name):
    s = {"n": N, "tau": TAU, "loss": name, "gradient": "tangent", "lambda": 0}
    z = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64).repeat(N, 1)
    there = SUMMED[name](z, labels(N)).item() / N
    assert lab("([s]) => clopsim.theory.lossAtCollapse(s)", s) == pytest.approx(there, rel=1e-12, abs=1e-12)


def test_every_loss_of_the_list_is_known_and_described(lab):
    options = lab("[...document.querySelectorAll('#loss option')].map((option) => option.value)")
    assert options == lab("Object.keys(clopsim.losses)") or set(options) == set(lab("Object.keys(clopsim.losses)"))
    assert set(options) == {"merged", "full", "supcon", *SUMMED}


# ---- the rates of bounds ----


def of_class_points(name: str, K: int, m: int, d: int, gradient: str, **options: float) -> AttractingRates | None:
    state = class_state(class_loss(name, classes=K, per_class=m, temperature=TAU, **options), dimension=d)
    return attracting_rates(state.curvatures, pull=state.pull, gradient=gradient)


def of_line(name: str, K: int, m: int, gradient: str, **options: float) -> AttractingRates | None:
    slopes = line_slopes(name, classes=K, per_class=m, temperature=TAU, **options)
    state = line_state(slopes, classes=K, per_class=m)
    return attracting_rates(state.curvatures, pull=state.pull, gradient=gradient)


def of_relaxed_collapse(K: int, m: int, gradient: str) -> AttractingRates | None:
    state = relaxed_collapse(classes=K, per_class=m, temperature=TAU, penalty=1.0)
    return attracting_rates([state.between, state.within], pull=state.pull, gradient=gradient)


def of_circles(K: int, gradient: str) -> AttractingRates:
    return AttractingRates(
        0.0, unhinged_rate(unhinged_pull(K).length, samples=1) if gradient == "tangent" else math.inf
    )


def of_swaps(K: int, gradient: str) -> AttractingRates | None:
    return AttractingRates(of_circles(K, gradient).below, math.inf) if gradient == "tangent" else None


def of_right_angles(K: int, m: int, gradient: str) -> AttractingRates | None:
    state = simo_optimum(K, rows=m)
    return attracting_rates([state.outside, state.inside, state.symmetric], pull=state.pull, gradient=gradient)


def of_frames(K: int, m: int, d: int, gradient: str, *, least: bool = False) -> AttractingRates | None:
    n = K * m
    found = coding_optimum(n, dimension=d)
    first, last = (
        attracting_rates([n * c], pull=n * found.pull, gradient=gradient) for c in (found.highest, found.least)
    )
    return first if not least else AttractingRates(first.below, last.below) if first.below < last.below else None


def of_pauc(K: int, m: int, d: int, gradient: str) -> AttractingRates | None:
    state, n = pauc_simplex(PaucSetting(K, m // 2, TAU), dimension=d), K * m
    levels = [n * level.curvature for level in state.levels.values()]
    return attracting_rates(levels, pull=n * state.pull, gradient=gradient)


def of_lorac(K: int, m: int, gradient: str, where: str) -> AttractingRates | None:
    n, state = K * m, {"point": lorac_collapse, "line": lorac_line}[where]
    *levels, pull = state(samples=K * m, temperature=TAU, smoothing=0.01)
    return attracting_rates([n * c for c in levels], pull=n * pull, gradient=gradient)


PLACES: dict[str, dict[str, Callable[[int, int, int, str], AttractingRates | None]]] = {
    "sscl": {
        "classes": lambda K, m, d, form: of_class_points("sscl", K, m, d, form, confidence=0.95),
        "line": lambda K, m, d, form: of_line("sscl", K, m, form, confidence=0.95),
    },
    "supcon": {
        "classes": lambda K, m, d, form: of_class_points("supcon", K, m, d, form),
        "line": lambda K, m, d, form: of_line("supcon", K, m, form),
    },
    "fedrcl": {
        "classes": lambda K, m, d, form: of_class_points("fedrcl", K, m, d, form, penalty=1.0),
        "point": lambda K, m, d, form: of_relaxed_collapse(K, m, form),
        "line": lambda K, m, d, form: of_line("fedrcl", K, m, form, penalty=1.0),
    },
    "blcl": {"classes": lambda K, m, d, form: of_class_points("blcl", K, m, d, form)},
    "unhinged": {"classes": lambda K, m, d, form: of_circles(K, form), "swap": lambda K, m, d, form: of_swaps(K, form)},
    "antiCollapse": {
        "frame": of_frames,
        "drift": lambda K, m, d, form: of_frames(K, m, d, form, least=True),
    },
    "pauc": {"classes": of_pauc},
    "lorac": {
        "point": lambda K, m, d, form: of_lorac(K, m, form, "point"),
        "line": lambda K, m, d, form: of_lorac(K, m, form, "line"),
    },
    "trimmed": {"point": lambda *_: None},
    "simo": dict.fromkeys(("classes", "crossed"), lambda K, m, d, form: of_right_angles(K, m, form)),
}


@pytest.mark.parametrize("form", ("ambient", "tangent"))
@pytest.mark.parametrize("K, m, d", [(3, 2, 3), (3, 8, 3), (3, 20, 7), (2, 6, 3), (4, 6, 4), (5, 2, 7)])
@pytest.mark.parametrize("name", PLACES)
def test_the_rates_are_those_of_bounds(lab, name, K, m, d, form):
    s = {"n": K * m, "classes": K, "tau": TAU, "loss": name, "gradient": form, "dim": d, "momentum": 0}
    page = lab("([s]) => clopsim.theory.thresholds(s).places.map(({ is, above, below }) => [is, above, below])", s)
    found = {what: (above, below) for what, above, below in page}
    for what, rates in PLACES[name].items():
        expected = rates(K, m, d, form)
        if expected is None:
            assert found.get(what, (None,))[0] is None
        else:
            assert found[what] == pytest.approx(tuple(expected), rel=1e-12)
    assert set(found) <= set(PLACES[name])


def test_the_other_marks_are_those_of_bounds(lab):
    """Where views part at LORAC's collapse; below which rate trimmed anchors cannot hold one."""
    for n, form in ((6, "ambient"), (24, "ambient"), (60, "tangent")):
        s = {"n": n, "tau": TAU, "gradient": form, "dim": 3, "momentum": 0}
        edges = lab(
            "([s]) => ['lorac', 'trimmed'].map((loss) => clopsim.theory.thresholds({ ...s, loss }).places[0].edge)", s
        )
        state = lorac_collapse(samples=n, temperature=TAU, smoothing=0.01)
        parts = critical_rate(n * state.apart, pull=n * state.pull, gradient=form)
        volumes = trimmed_volume_rate(samples=n, kept=math.floor(0.9 * n), temperature=TAU)
        assert edges[0] == pytest.approx(parts, rel=1e-12)
        assert edges[1] == (pytest.approx(volumes, rel=1e-12) if form == "ambient" else None)


# ---- runs in the page ----


def beside(vectors: np.ndarray, n: int, spread: float = 1e-3) -> list[float]:
    """Every embedding beside the vector of its class, rows of unit length."""
    z = vectors[labels(n).numpy()] + spread * np.random.default_rng(0).normal(size=(n, vectors.shape[1]))
    return list((z / np.linalg.norm(z, axis=1, keepdims=True)).flatten())


def on_a_line(n: int) -> list[float]:
    """First views at one end, second views at the other, nearly."""
    z = np.where(np.arange(n) < n // 2, 1, -1)[:, None] * np.eye(3)[:1]
    z = z + 1e-3 * np.random.default_rng(0).normal(size=(n, 3))
    return list((z / np.linalg.norm(z, axis=1, keepdims=True)).flatten())


CORNERS = np.array([[math.cos(t), math.sin(t), 0] for t in (0, 2 * math.pi / 3, 4 * math.pi / 3)])
TRIANGLE = simplex(torch.ones(1, 3, dtype=torch.float64)).numpy()
STARTS = {
    "classes": lambda n, name: beside({"simo": np.eye(3), "unhinged": TRIANGLE}.get(name, CORNERS), n),
    "swap": lambda n, name: beside(TRIANGLE, n, 0.5),
    "point": lambda n, name: beside(np.eye(3)[[0, 0, 0]], n),
    "line": lambda n, name: on_a_line(n),
}
BRACKETS = [  # loss, place, gradient, momentum
    ("sscl", "classes", "tangent", 0), ("sscl", "classes", "tangent", 0.5),
    ("fedrcl", "classes", "tangent", 0), ("fedrcl", "classes", "ambient", 0),
    ("fedrcl", "point", "ambient", 0), ("fedrcl", "point", "ambient", 0.1), ("fedrcl", "line", "ambient", 0),
    ("fedrcl", "line", "ambient", 0.2), ("blcl", "classes", "tangent", 0), ("blcl", "classes", "ambient", 0),
    ("simo", "classes", "tangent", 0), ("simo", "classes", "ambient", 0), ("simo", "classes", "tangent", 0.5),
    ("unhinged", "classes", "tangent", 0), ("unhinged", "classes", "tangent", 0.5), ("unhinged", "swap", "tangent", 0),
    ("pauc", "classes", "tangent", 0), ("pauc", "classes", "ambient", 0), ("pauc", "classes", "tangent", 0.5),
    ("lorac", "line", "ambient", 0), ("lorac", "line", "ambient", 0.2),
]  # fmt: skip


@pytest.mark.parametrize("name, place, form, beta", BRACKETS)
def test_a_state_holds_on_its_side_of_the_rate_alone(here, name, place, form, beta):
    """5 % to either side; what prediction and verdict say of it too."""
    plain = {
        "loss": name,
        "gradient": form,
        "n": 36,
        "tau": 2 if name == "pauc" else 1,  # below, PAUC's weights hold no class on a point (T34)
        "lambda": 0,
        "decay": 0,
        "momentum": beta,
        "dim": 3,
        "x": 1,
    }
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    unit, rates = here("""([place]) => {
        const { unit, places } = clopsim.state.thresholds, { above, below } = places.find(({ is }) => is === place);
        return [unit, [above, below]];
    }""", place)  # fmt: skip
    above = rates[0] > 0
    rate = rates[0] if above else rates[1]
    assert 0 < rate < math.inf
    for factor in (0.95, 1.05):
        here("([x]) => { clopsim.set({ x }); clopsim.reset() }", factor * rate / unit)
        here("([u]) => clopsim.load(u)", STARTS[place](36, name))
        here("clopsim.step(800)")
        holds = (factor > 1) == above
        state = here.state()
        assert state["rate"] == pytest.approx(factor * rate, rel=1e-3)
        assert (state["there"] == place) == holds
        assert state["kind"] != "not-predicted"
        if holds:
            assert state["verdict"] == "as predicted"
            assert state["prediction"]["phase"] in (place, "either")
        else:
            assert state["prediction"]["phase"] != place


def lined_up(firsts: list[int], per_class: int, views: bool) -> list[float]:
    """Of each class so many at one end of a line, the rest at the other, nearly; views: whether views are opposite."""
    classes = labels(per_class * len(firsts)).numpy()
    ends = np.ones(len(classes))
    for k, first in enumerate(firsts):
        own = np.flatnonzero(classes == k)  # views are half of all rows apart: first those of the first view
        half = len(own) // 2
        order = own if views else np.ravel(np.column_stack([own[:half], own[half:]]))
        ends[order[first:]] = -1
    z = ends[:, None] * np.eye(3)[:1] + 1e-3 * np.random.default_rng(0).normal(size=(len(classes), 3))
    return list((z / np.linalg.norm(z, axis=1, keepdims=True)).flatten())


@pytest.mark.parametrize(
    "name, firsts, views, verdict",
    [
        ("fedrcl", [6, 6, 6], True, "as predicted"), ("fedrcl", [6, 6, 6], False, "as predicted"),
        ("fedrcl", [6, 5, 7], True, "no prediction"), ("fedrcl", [8, 8, 8], True, "no prediction"),
        ("lorac", [6, 6, 6], True, "as predicted"), ("sscl", [2, 2, 2], True, "as predicted"),
        ("sscl", [2, 2, 2], False, "no prediction"),
    ],
)  # fmt: skip
def test_a_line_is_as_predicted_where_its_ends_are_those_of_the_theorem(here, name, firsts, views, verdict):
    """Every line is at rest (T1) and others attract too: T30 has the rate of the balanced one."""
    m = 4 if name == "sscl" else 12  # a large class cannot be torn onto a line
    plain = {"loss": name, "gradient": "ambient", "n": 3 * m, "tau": 0.3, "x": 16, "momentum": 0, "lambda": 0}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain | {"dim": 3, "decay": 0, "classes": 3})
    here("([u]) => clopsim.load(u)", lined_up(firsts, m, views))
    here("clopsim.step(60)")
    state = here.state()
    assert (state["state"], state["verdict"]) == ("line", verdict)
    words = here.page.locator("#words").text_content()
    ends = sorted([sum(firsts), 3 * m - sum(firsts)])
    if verdict == "no prediction":
        assert words.startswith(
            f"all points on one line, {ends[0]} and {ends[1]} at its ends; theory’s rate is for half of"
        )
    else:
        assert words == "all points on one line."


@pytest.mark.parametrize("name", ("supcon", "sscl", "fedrcl", "simo"))
def test_classes_that_are_set_free_leave_before_long(here, name):
    """Embeddings of a class may have become equal to the last digit, and then never would."""
    plain = {"loss": name, "gradient": "tangent", "n": 36, "tau": 1, "lambda": 0, "x": 1}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    below, unit = here("[clopsim.state.thresholds].map((th) => [th.places[0].below, th.unit])[0]")
    here("([x]) => clopsim.set({ x })", 0.8 * below / unit)
    here("([u]) => clopsim.load(u)", STARTS["classes"](36, name))
    here("clopsim.step(2000)")
    assert here.state()["there"] == "classes"
    before = here.state()["u"]
    here("([x]) => clopsim.set({ x })", 0.9 * below / unit)
    assert here.state()["u"] == before
    here("([x]) => clopsim.set({ x })", 1.1 * below / unit)
    here("clopsim.step(150)")
    state = here.state()
    assert state["there"] != "classes"
    assert state["verdict"] == "as predicted"


@pytest.mark.parametrize("beta", (0, 0.5))
@pytest.mark.parametrize("d, n", [(3, 36), (7, 20)])  # enough rows for T32's lower edge, and not
def test_frames_hold_below_their_rate_drift_above_and_break(here, d, n, beta):
    plain = {"loss": "antiCollapse", "gradient": "tangent", "n": n, "dim": d, "start": "collapse", "momentum": beta}
    here("([s]) => { clopsim.set({ ...s, x: 1 }); clopsim.reset() }", plain)
    unit, edges = here("[clopsim.state.thresholds].map((th) => [th.unit, th.places.map(({ below }) => below)])[0]")
    assert edges[0] == pytest.approx((1 + beta) * unit, rel=1e-12)
    drifts = edges[1] > edges[0]
    assert drifts == (2 * n >= d * (d + 1))
    for rate, phase in (
        (0.95 * edges[0], "frame"),
        ((edges[0] + edges[1]) / 2, "drift"),
        (1.05 * edges[1], "restless"),
    ):
        if phase == "drift" and not drifts:
            continue
        here("([x]) => { clopsim.set({ x }); clopsim.reset() }", rate / unit)
        here("clopsim.step(1200)")
        state = here.state()
        assert (state["prediction"]["phase"], state["verdict"]) == (phase, "as predicted")
        assert (state["there"] == "frame") == (phase != "restless")
        assert (abs(state["rank"] - d) < 1e-4) == (phase != "restless")


def test_trimmed_anchors_are_not_drawn_to_one_spot_below_the_volume_s_rate(here):
    """0.9 of the rate, from near collapse: above it theory is silent, as it knows no rate from which on they are."""
    plain = {"loss": "trimmed", "gradient": "ambient", "n": 60, "tau": 0.5, "start": "collapse", "x": 1}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    unit, edge = here("(() => { const { unit, places } = clopsim.state.thresholds; return [unit, places[0].edge] })()")
    assert edge > unit
    for factor, phase, verdict in ((0.9, "free", "as predicted"), (1.1, "silent", "no prediction")):
        here("([x]) => { clopsim.set({ x }); clopsim.reset() }", factor * edge / unit)
        here("clopsim.step(600)")
        state = here.state()
        assert (state["prediction"]["phase"], state["verdict"]) == (phase, verdict)
        assert state["there"] is None or phase == "silent"
    assert "μV" in "".join(here("[...document.querySelectorAll('.mark')].map((m) => m.textContent)"))


def test_where_points_swap_the_loss_is_that_of_the_swap(here):
    plain = {"loss": "unhinged", "gradient": "tangent", "n": 36, "x": 3, "start": "random"}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    here("clopsim.step(400)")
    state = here.state()
    assert (state["prediction"]["phase"], state["verdict"]) == ("swap", "as predicted")
    pull = unhinged_pull(3).length
    assert state["loss"] == pytest.approx(-pull * unhinged_swap(state["rate"] * pull)[0], abs=1e-3)
    assert here.page.locator("#words").text_content() == "every point swapping sides of its class’s direction."
    assert here.page.locator("#theory-third").text_content() == here.page.locator("#now-third").text_content()
    assert here("clopsim.ends.end(clopsim.state.settings)") == "between"


def test_classes_of_simo_split_over_lines_from_a_random_start(here):
    plain = {"loss": "simo", "gradient": "tangent", "n": 60, "x": 0.5, "start": "random"}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    here("clopsim.step(400)")
    state = here.state()
    assert (state["prediction"]["phase"], state["kind"]) == ("either", "bistable")
    assert state["rank"] == pytest.approx(3, abs=1e-3)
    assert here.page.locator("#words").text_content() == "each class on a line of its own."
    assert here("clopsim.ends.end(clopsim.state.settings)") == "classes"


def test_a_loss_without_a_temperature_says_so(here):
    here("clopsim.set({ loss: 'simo', gradient: 'tangent', n: 60 })")
    assert here.page.locator("#tau").is_disabled()
    assert here.page.locator("#tau-value").text_content() == "none in this loss"
    assert here.page.locator("#about").text_content().startswith("SimO: The pair form")
    assert "μO" in here.page.locator("#x-units").text_content()
    assert "1 = μO = 2/(wm + x) = " in here.page.locator("#thresholds").text_content()
    cells = here("[0.05, 0.126].map((tau) => clopsim.ends.end({ ...clopsim.state.settings, tau, x: 0.5 }))")
    assert cells[0] == cells[1] == "classes"
    here("clopsim.set({ loss: 'merged', tau: 0.5 })")
    assert here.page.locator("#tau").is_enabled()
    assert here.page.locator("#tau-value").text_content() == "0.5"
    assert here.page.locator("#about").text_content() == ""


@pytest.mark.parametrize("name", ["sscl", "supcon", "fedrcl", "blcl", "pauc", "simo"])
@pytest.mark.parametrize(
    "wanted, sentence",
    [
        ({"lambda": 2}, "with prototypes"),
        ({"n": 20}, "of different size"),
        ({"gradient": "free", "decay": 0.1}, "Decay"),
    ],
)
def test_where_there_is_no_theory_it_says_so(here, name, wanted, sentence):
    plain = {"loss": name, "gradient": "tangent", "n": 60, "lambda": 0, "decay": 0, "x": 0.5}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", {**plain, **wanted})
    here("clopsim.step(20)")
    assert here.state()["kind"] == "silent"
    assert sentence in here.page.locator("#theory").text_content()


def test_a_link_opens_a_loss_and_the_keyboard_chooses_one(visit):
    here = visit("?hide=map#v=1&loss=fedrcl&gradient=tangent&n=36&tau=1&start=random&x=0.3", reduced_motion="reduce")
    assert here.page.locator("#loss").input_value() == "fedrcl"
    groups = here("[...document.querySelectorAll('#loss optgroup')].map((group) => group.label)")
    assert groups == ["Base losses", "The zoo"]
    here.page.locator("#loss").focus()
    here.page.keyboard.press("ArrowDown")
    assert here.page.locator("#loss").input_value() == "sscl"
    assert here.state()["settings"]["loss"] == "sscl"
    assert here.page.locator("#x").get_attribute("aria-valuetext").count("simplex")


@pytest.mark.parametrize("loss", ("fedrcl", "sscl", "lorac", "pauc", "simo", "unhinged", "antiCollapse"))
def test_every_rate_of_the_track_parts_its_regions(here, loss):
    here(
        "([loss]) => { clopsim.set({ loss, gradient: 'ambient', n: 60, tau: 0.5, view: 'one' }); clopsim.reset() }",
        loss,
    )
    regions, marks = (here(f"document.querySelectorAll('#{name}').length") for name in ("regions > *", "marks > .mark"))
    assert (here.state()["settings"]["loss"], regions) == (loss, marks + 1)


def test_names_of_near_rates_stand_apart(here):
    here("clopsim.set({ loss: 'fedrcl', gradient: 'ambient', n: 60, tau: 0.5, view: 'one' })")
    boxes = "[...document.querySelectorAll('#marks .name')].map((e) => e.getBoundingClientRect())"
    boxes = here(f"{boxes}.map((box) => [box.left, box.right])")
    assert len(boxes) == 3
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(boxes))
