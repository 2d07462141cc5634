"""SupCon in the page: torch's loss and steps, the simplex of its classes up to T29's rate, silence beyond theory."""

import itertools

import numpy as np
import pytest
import torch

from clopsim.bounds.class_losses import class_loss
from clopsim.bounds.class_state import class_state
from clopsim.bounds.effective_rate import attracting_rates

N = 24


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays, with the paper's loss again afterwards."""
    lab("() => { clopsim.pause(); clopsim.visit(null) }")
    yield lab
    lab("() => clopsim.set({ loss: 'merged', gradient: 'ambient', lambda: 0, momentum: 0, dim: 3 })")


def supcon(z, tau):
    """The mean over the positives outside the logarithm, anchor by anchor; the sum over the anchors."""
    own = [i % (N // 2) % 3 for i in range(N)]
    total = torch.zeros((), dtype=torch.float64)
    for i in range(N):
        others = [a for a in range(N) if a != i]
        mates = [a for a in others if own[a] == own[i]]
        total = total + torch.logsumexp(z[others] @ z[i] / tau, dim=0) - (z[mates] @ z[i]).mean() / tau
    return total


@pytest.mark.parametrize("d", (3, 6))
@pytest.mark.parametrize("form", ("ambient", "tangent", "free"))
def test_loss_and_step_are_torch_s(lab, form, d):
    rng = np.random.default_rng(d)
    u = torch.tensor(rng.normal(size=(N, d)), dtype=torch.float64)
    u = u if form == "free" else u / u.norm(dim=1, keepdim=True)
    s = {"n": N, "tau": 0.4, "loss": "supcon", "gradient": form, "lambda": 0, "decay": 0, "rate": 0.3, "count": 0}
    after, loss = lab(
        """([u, s]) => {
            const next = clopsim.physics.step({ ...s, u: Float64Array.from(u) });
            return [[...next.u], next.lossBefore];
        }""",
        u.flatten().tolist(), s,
    )  # fmt: skip
    free = u.clone().requires_grad_()
    z = free if form == "ambient" else free / free.norm(dim=1, keepdim=True)
    total = supcon(z, 0.4)
    moved = u - 0.3 * torch.autograd.grad(total, free)[0]
    moved = moved if form == "free" else moved / moved.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(after, moved.flatten().numpy(), rtol=0, atol=1e-12)
    assert loss == pytest.approx(total.item() / N, rel=1e-12)


@pytest.mark.parametrize("form", ("ambient", "tangent"))
def test_the_rate_of_the_simplex_is_python_s(lab, form):
    never = 0
    for m, tau, d in itertools.product((2, 4, 20), (0.1, 0.5, 1.0), (3, 8)):
        state = class_state(class_loss("supcon", classes=3, per_class=m, temperature=tau), dimension=d)
        rates = attracting_rates([c for c in state.curvatures if c], pull=state.pull, gradient=form)
        s = {"n": 3 * m, "tau": tau, "loss": "supcon", "gradient": form, "dim": d}
        page = lab("([s]) => clopsim.theory.thresholds(s)", s)
        simplex = next(place for place in page["places"] if place["is"] == "classes")
        assert (simplex["above"], simplex["below"]) == pytest.approx(rates, rel=1e-12)
        assert [page[name] for name in ("collapse", "uniform", "alignment", "paperEdge")] == [None] * 4
        never += simplex["below"] == float("inf")
    assert never == 0 or form == "ambient"
    s = {"n": 20, "tau": 0.5, "loss": "supcon", "gradient": "tangent", "dim": 3}
    assert lab("([s]) => clopsim.theory.thresholds(s)", s)["places"] == []


def corners(rng, n=60):
    """Three class points at cosine -1/2 to each other, every embedding a little aside."""
    angle = 2 * np.pi / 3 * (np.arange(n) % (n // 2) % 3)
    z = np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1) + 1e-4 * rng.normal(size=(n, 3))
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).flatten().tolist()


@pytest.mark.parametrize("beta", (0, 0.5))
@pytest.mark.parametrize("factor, holds", [(0.97, True), (1.03, False)])
def test_the_simplex_holds_below_its_rate_and_breaks_above(here, factor, holds, beta):
    plain = {"loss": "supcon", "gradient": "tangent", "n": 60, "tau": 1, "lambda": 0, "momentum": beta, "dim": 3}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", plain)
    thresholds = here.state()["thresholds"]
    here("([x]) => clopsim.set({ x })", factor * thresholds["places"][0]["below"] / thresholds["unit"])
    here("([u]) => clopsim.load(u)", corners(np.random.default_rng(0)))
    here("clopsim.step(400)")
    state = here.state()
    assert state["prediction"]["phase"] == ("classes" if holds else "between")
    assert state["verdict"] == "as predicted"
    words = here.page.locator("#words").text_content()
    assert (words == "each class on one point.") == holds
    assert here.page.locator("#legend").text_content().startswith("● ■ ▲ classes · ")
    assert "μS" in "".join(here("[...document.querySelectorAll('.mark')].map((m) => m.textContent)"))


def test_from_anywhere_small_steps_gather_the_classes(here):
    for start in ("random", "collapse", "uniform"):
        settings = {"loss": "supcon", "gradient": "tangent", "n": 60, "tau": 0.5, "lambda": 0, "x": 0.5, "start": start}
        here("([s]) => { clopsim.set(s); clopsim.reset() }", settings)
        here("clopsim.step(600)")
        state = here.state()
        assert (state["prediction"]["phase"], state["verdict"]) == ("classes", "as predicted")
        assert state["rank"] == pytest.approx(2, abs=1e-3)
        assert here("clopsim.ends.end(clopsim.state.settings)") == "classes"


@pytest.mark.parametrize(
    "wanted, sentence",
    [
        ({"lambda": 2}, "with prototypes"),
        ({"n": 20}, "of different size"),
        ({"gradient": "free", "decay": 0.1}, "Decay"),
    ],
)
def test_where_there_is_no_theory_it_says_so(here, wanted, sentence):
    plain = {"loss": "supcon", "gradient": "tangent", "n": 60, "lambda": 0, "decay": 0}
    here("([s]) => { clopsim.set(s); clopsim.reset() }", {**plain, **wanted})
    here("clopsim.step(20)")
    assert here.state()["kind"] == "silent"
    assert sentence in here.page.locator("#theory").text_content()
