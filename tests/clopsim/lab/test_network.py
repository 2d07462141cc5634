"""The network that the page trains is the one that torch trains, and its learning rate meets the sharpness edge."""

import math

import numpy as np
import pytest
import torch

from clopsim.bounds import Setting
from clopsim.sphere.gradient import contrastive_loss
from clopsim.training.sharpness import sharpest

N, P, H = 24, 8, 16
BEGIN = "([s]) => { const { x, w } = clopsim.network.begin(s); return { x: [...x], w: [...w] } }"


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays, with free points again afterwards."""
    lab("() => { clopsim.pause(); clopsim.visit(null) }")
    yield lab
    lab("() => clopsim.set({ network: 'off' })")


def split(w, d):
    """The page's vector of weights as torch's layers hold them."""
    shapes = {"hidden": (H, P), "hidden_bias": (H,), "output": (d, H), "output_bias": (d,)}
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    parts = torch.tensor(w, dtype=torch.float64).split(sizes)
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def flat(weights):
    return torch.cat([part.reshape(-1) for part in weights.values()])


def objective(x, s):
    """The mean loss of a setting in a dictionary of weights, with the prototypes on the first axes."""
    x = torch.tensor(x, dtype=torch.float64).reshape(N, P)
    own = torch.arange(N) % (N // 2) % 3
    setting = Setting(s["tau"], s["dim"], N, loss=s["loss"], reduction="mean")

    def loss(weights):
        u = torch.tanh(x @ weights["hidden"].T + weights["hidden_bias"]) @ weights["output"].T + weights["output_bias"]
        z = u / u.norm(dim=1, keepdim=True)
        return contrastive_loss(z, s["tau"], setting) - s["lambda"] * z[torch.arange(N), own].mean()

    return loss


SETTINGS = [
    {"loss": "full", "dim": 3, "tau": 0.5, "lambda": 0, "momentum": 0, "decay": 0},
    {"loss": "merged", "dim": 5, "tau": 0.2, "lambda": 2, "momentum": 0.7, "decay": 0.01},
]


@pytest.mark.parametrize("s", SETTINGS)
def test_loss_and_gradient_are_torch_s(lab, s):
    s = {**s, "n": N, "seed": 3}
    begun = lab(BEGIN, s)
    page = lab(
        """([w, s]) => {
            const { slope, u, loss } = clopsim.network.gradient(Float64Array.from(w), s);
            return { slope: [...slope], u: [...u], loss };
        }""",
        begun["w"], {**s, "x": begun["x"]},
    )  # fmt: skip
    weights = {name: part.requires_grad_() for name, part in split(begun["w"], s["dim"]).items()}
    total = objective(begun["x"], s)(weights)
    slopes = torch.autograd.grad(total, list(weights.values()))
    plain = objective(begun["x"], {**s, "lambda": 0})(weights)
    assert page["loss"] == pytest.approx(plain.item(), rel=1e-12)
    np.testing.assert_allclose(page["slope"], torch.cat([g.reshape(-1) for g in slopes]).numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", (1, 10))
@pytest.mark.parametrize("s", SETTINGS)
def test_steps_are_those_of_torch_s_optimiser(lab, s, steps):
    s, rate = {**s, "n": N, "seed": 4}, 0.3
    begun = lab(BEGIN, s)
    page = lab(
        """([begun, s, steps]) => {
            let run = { ...s, x: begun.x, w: Float64Array.from(begun.w), v: null, count: 0 };
            for (let k = 0; k < steps; k++) run = clopsim.network.step(run);
            return { w: [...run.w], u: [...run.u], count: run.count };
        }""",
        begun, {**s, "rate": rate}, steps,
    )  # fmt: skip
    weights = {name: torch.nn.Parameter(part.clone()) for name, part in split(begun["w"], s["dim"]).items()}
    optimiser = torch.optim.SGD(weights.values(), lr=rate, momentum=s["momentum"], weight_decay=s["decay"])
    for _ in range(steps):
        optimiser.zero_grad()
        objective(begun["x"], s)(weights).backward()
        optimiser.step()
    assert page["count"] == steps
    np.testing.assert_allclose(page["w"], flat(weights).detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("s", SETTINGS)
@pytest.mark.parametrize("seed", range(2))
def test_the_sharpness_is_the_largest_eigenvalue_of_torch_s_hessian(lab, s, seed):
    s = {**s, "n": N, "seed": seed}
    begun = lab(BEGIN, s)
    expected, _ = sharpest(objective(begun["x"], s), split(begun["w"], s["dim"]))
    run = {**s, "x": begun["x"]}
    page = lab("([w, s]) => clopsim.network.sharpness({ ...s, w: Float64Array.from(w) })", begun["w"], run)
    assert page == pytest.approx(expected, rel=1e-6)
    edge = lab("([w, s]) => clopsim.network.edge({ ...s, w: Float64Array.from(w) })", begun["w"], run)
    assert edge == pytest.approx(2 * (1 + s["momentum"]) / (expected + s["decay"]), rel=1e-6)


def test_the_inputs_are_three_clusters_in_two_views(lab):
    x = torch.tensor(lab(BEGIN, {"n": 120, "seed": 1, "dim": 3})["x"]).reshape(2, 60, P)
    own = torch.arange(60) % 3
    centres = torch.stack([x.mean(dim=0)[own == k].mean(dim=0) for k in range(3)])
    assert float((x[0] - x[1]).std()) == pytest.approx(0.2 * 2**0.5, rel=0.1)
    nearest = torch.cdist(x.reshape(-1, P), centres).argmin(dim=1)
    assert float((nearest == own.repeat(2)).double().mean()) > 0.95


@pytest.mark.parametrize("x", (0.25, 2.0, 12.0))
def test_the_edge_comes_to_the_learning_rate(here, x):
    """Over a factor of fifty in the rate: what the page says of the diamond. At the start the edge is elsewhere."""
    plain = {"loss": "full", "tau": 0.5, "n": 60, "dim": 3, "lambda": 0, "decay": 0, "momentum": 0, "seed": 1}
    here("([s]) => { clopsim.set({ ...s, network: 'on' }); clopsim.reset() }", {**plain, "x": x})
    state = here.state()
    assert not 0.8 < state["edge"] / state["rate"] < 1.25
    assert here.page.locator("#badge").text_content() == ""
    assert here.page.locator("#map").is_hidden()
    here("clopsim.step(1500)")
    state = here.state()
    assert state["count"] == 1500
    assert state["edge"] == pytest.approx(state["rate"], rel=0.15)
    left = float(here("document.getElementById('effective').style.left").rstrip("%"))
    assert 2 ** (8 * left / 100 - 4) == pytest.approx(state["edge"] / state["thresholds"]["unit"], rel=1e-4)
    assert here.page.locator("#now-edge").text_content() == f"{state['edge']:.3f}"
    assert here.page.locator("#theory-edge").text_content() == f"{state['rate']:.3f}"
    seen = here("clopsim.records.map((record) => [record.edge, record.predicted.edge])")
    assert all(math.isfinite(edge) and rate == pytest.approx(state["rate"]) for edge, rate in seen)
    assert len({edge for edge, _ in seen}) > 50  # a curve: it is looked at every 25 steps


def test_the_rate_is_moved_without_another_look_at_the_sharpness(visit):
    here = visit("?hide=map#network=on&loss=full&x=1", reduced_motion="reduce")
    here("clopsim.step(5)")
    here("""() => {
        const { edge } = clopsim.network;
        window.looks = 0;
        clopsim.network.edge = (s) => { looks++; return edge(s); };
    }""")
    edge = here.state()["edge"]
    here("[1.1, 1.2, 1.3].forEach((x) => clopsim.set({ x }))")
    assert (here("looks"), here.state()["edge"]) == (0, edge)
    for looks, wanted in enumerate(
        ({"tau": 0.3}, {"loss": "merged"}, {"lambda": 2}, {"momentum": 0.5}, {"decay": 0.1}), 1
    ):
        here("([s]) => { clopsim.set(s); window.known = [looks, clopsim.state.edge] }", wanted)
        assert here("known") == [looks - 1, edge]  # in the next frames: the page does not wait for it
        here.until(f"looks === {looks} && clopsim.state.edge !== {edge}")
        edge = here.state()["edge"]


@pytest.mark.parametrize("n, dim, most", [(200, 16, 1), (60, 3, 6)])
def test_a_look_at_the_sharpness_is_spread_over_steps_and_is_the_same(visit, n, dim, most):
    """No step takes all products with the Hessian; recorded is the edge of the weights at the step looked at."""
    here = visit(f"?hide=map#network=on&loss=full&x=2&n={n}&dim={dim}&view=one", reduced_motion="reduce")
    here("""() => {
        const { looking } = clopsim.network;
        window.products = 0;
        clopsim.network.looking = function* (s) {
            for (const products = looking(s); ;) {
                const { done, value } = products.next();
                window.products++;
                if (done) return value;
                yield;
            }
        };
    }""")
    taken = here("""() => Array.from({ length: 60 }, () => {
        window.products = 0;
        clopsim.step(1);
        return window.products;
    })""")
    assert max(taken) == most
    assert sum(count > 0 for count in taken) > 3
    expected = here("""() => {
        const s = { ...clopsim.state.settings, rate: clopsim.state.rate };
        let run = { ...s, ...clopsim.network.begin(s), count: 0, v: null };
        const edges = {};
        for (let k = 0; k <= 50; k++, run = clopsim.network.step(run))
            if (k % 25 === 0) edges[k] = clopsim.network.edge(run);
        return edges;
    }""")
    for record in here("clopsim.records.map(({ count, edge }) => ({ count, edge }))"):
        if record["count"] < 50:
            assert record["edge"] == expected[str(record["count"] // 25 * 25)], record


def test_a_network_is_a_setting_like_others(visit):
    here = visit("#network=on&loss=full&n=30&seed=7&dim=4", reduced_motion="reduce")
    assert here.page.locator("#network").input_value() == "on"
    assert here.page.locator("#gradient").is_disabled()
    before = here.state()["u"]
    assert len(before) == 120
    here("clopsim.step(3)")
    here("clopsim.set({ x: 0.5, momentum: 0.5 })")  # it goes on training
    here("clopsim.step(3)")
    assert here.state()["count"] == 6
    assert 0 < here.state()["edge"] < math.inf
    here("clopsim.reset()")
    assert here.state()["u"] == before
    here.page.locator("#settings").evaluate("(node) => { node.open = true }")
    here.page.select_option("#network", "off")
    assert here.state()["count"] == 0
    assert here.state()["edge"] is None
    assert here.page.locator("#edge").is_hidden()
    assert not here.page.locator("#gradient").is_disabled()
    assert visit("#network=maybe", reduced_motion="reduce").state()["settings"]["network"] == "off"
