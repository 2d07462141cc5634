"""The controls of classes and prototypes: what fits, what is said of it, and eight classes that can be told apart."""

import itertools

import numpy as np
import pytest

QUIET = {"reduced_motion": "reduce"}


@pytest.fixture
def here(visit):
    page = visit("?hide=map#view=one", **QUIET)
    page("document.getElementById('settings').open = true")
    return page


def text(here, id):
    return here.page.locator(f"#{id}").text_content()


def settings(here, *names):
    return tuple(here.state()["settings"][name] for name in names)


def test_more_prototypes_than_dimensions_raise_the_dimensions_and_say_so(here):
    here("""() => {
        const node = document.getElementById("status");
        window.said = [];
        new MutationObserver(() => said.push(node.textContent)).observe(node, { childList: true });
    }""")
    here.page.locator("#classes").fill("5")
    assert settings(here, "classes", "dim") == (5, 5)
    said = "5 orthonormal prototypes need 5 dimensions: d is now 5, where it was 3."
    assert text(here, "fits") == said
    here.until(f"said.includes('{said}')")
    assert here.page.locator("#dim").input_value() == "5"
    assert text(here, "classes-value") == "5"
    here.page.select_option("#prototypes", "simplex")
    assert text(here, "fits") == ""  # it fits, and what was said is over
    here.page.locator("#dim").fill("4")
    assert settings(here, "classes", "dim") == (5, 4)
    here.page.locator("#dim").fill("3")
    assert settings(here, "classes", "dim") == (4, 3)
    assert text(here, "fits") == "5 corners of a simplex need 4 dimensions: with d = 3, K is now 4."
    here.page.select_option("#prototypes", "orthonormal")
    assert settings(here, "classes", "dim", "prototypes") == (4, 4, "orthonormal")
    assert text(here, "fits") == "4 orthonormal prototypes need 4 dimensions: d is now 4, where it was 3."


@pytest.mark.parametrize(
    "hash, expected",
    [
        ("#v=1&lambda=8&dim=3", (3, "orthonormal", 3)),  # a link made before there were other numbers
        ("#classes=6", (6, "orthonormal", 6)),
        ("#classes=6&dim=3&prototypes=simplex", (6, "simplex", 5)),
        ("#dim=5&classes=99&prototypes=cube", (8, "orthonormal", 8)),
        ("#classes=1&prototypes=", (2, "orthonormal", 3)),
        ("#classes=3.4", (3, "orthonormal", 3)),
    ],
)
def test_a_link_opens_what_fits_in_a_new_tab_as_in_an_old_one(visit, hash, expected):
    here = visit(f"?hide=map{hash}", **QUIET)
    assert settings(here, "classes", "prototypes", "dim") == expected
    other = visit("?hide=map#dim=3&classes=2&n=20", **QUIET)
    other(f"location.hash = '{hash}'")
    other.until("clopsim.state.settings.n === 60")
    assert settings(other, "classes", "prototypes", "dim") == expected


def test_a_number_of_classes_acts_on_the_run_and_on_a_network_s_inputs(here):
    here("clopsim.set({ lambda: 4 })")
    here("clopsim.step(5)")
    before = here.state()["u"]
    for wanted in ({"classes": 2}, {"prototypes": "simplex"}):
        here("([s]) => clopsim.set(s)", wanted)
        assert (here.state()["count"], here.state()["u"]) == (5, before)
    here("clopsim.step(1)")
    here("clopsim.set({ network: 'on', lambda: 0 })")
    three = here("clopsim.network.begin({ ...clopsim.state.settings, classes: 3 }).x")
    assert here("clopsim.network.begin(clopsim.state.settings).x") != three
    here("clopsim.step(5); clopsim.set({ classes: 3 })")
    assert here.state()["count"] == 0


def test_the_critical_weight_stands_beside_its_slider(here):
    orthonormal = (
        "Orthonormal prototypes: classes up to 90° apart, up to rank 3, each on one point above λ* = 2.97 (T9)."
    )
    assert text(here, "kinds") == f"{orthonormal} A simplex: 120° apart, rank 2, λ* = 3.62 (T18)."
    mark, slider = here.page.locator("#lambda-mark"), here.page.locator("#lambda")
    assert slider.get_attribute("aria-describedby") == "kinds"
    for kind, star in (("orthonormal", 2.966), ("simplex", 3.621)):
        here.page.select_option("#prototypes", kind)
        box, left = slider.bounding_box(), mark.evaluate("(node) => node.getBoundingClientRect().left")
        assert left == pytest.approx(box["x"] + 8 + (box["width"] - 16) * star / 20, abs=1.5)
    here("clopsim.set({ tau: 0.05 })")  # beyond the slider
    assert mark.is_hidden()
    assert "λ* = 42.1 (T18)" in text(here, "kinds")
    here("clopsim.set({ tau: 0.5, classes: 4, dim: 3 })")
    assert mark.is_hidden()
    assert text(here, "kinds").endswith("known for classes of equal size. Take n = 56 or 64.")
    here("clopsim.set({ n: 64 })")
    assert text(here, "kinds").startswith(
        "K = 4 orthonormal prototypes need d = 4. A simplex: 109° apart, rank 3, λ* = 2.60"
    )
    for elsewhere in ({"loss": "supcon"}, {"loss": "full", "network": "on"}):
        here("([s]) => clopsim.set(s)", elsewhere)
        assert text(here, "kinds") == ""
        assert mark.is_hidden()


def test_classes_of_different_size_are_named_as_such(here):
    here("clopsim.set({ classes: 7, dim: 7, lambda: 4, gradient: 'tangent' })")
    assert "The classes differ in size, and their places are known for equal ones. Take n = 56 or 70." in text(
        here, "theory"
    )
    here("clopsim.set({ loss: 'supcon', lambda: 0 })")
    assert text(here, "theory").endswith("Take n = 56 or 70.")
    here("clopsim.set({ n: 56 })")
    assert "the seven on a simplex, at cosine −1/6 to each other" in text(here, "theory")


MACHADO = {  # protanopia, deuteranopia: Machado, Oliveira and Fernandes (2009), on linear RGB
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def oklab(linear):
    to_lms = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
    to_lab = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ np.clip(linear, 0, 1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_eight_classes_have_colours_that_the_colour_blind_tell_apart(visit, scheme):
    here = visit("?hide=map", color_scheme=scheme, **QUIET)
    names = here("() => [...ink.CLASSES, '--ball-light', '--ball-edge'].map((name) => ink.colour(name))")
    rgb = np.array([[int(name[k : k + 2], 16) / 255 for k in (1, 3, 5)] for name in names])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    light = linear @ [0.2126, 0.7152, 0.0722] + 0.05
    for one, ball in itertools.product(light[:8], light[8:]):
        assert max(one, ball) / min(one, ball) >= 3  # WCAG 1.4.11
    for sight, matrix in MACHADO.items():
        seen = [oklab(np.array(matrix) @ one) for one in linear[:8]]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.07, sight


def test_eight_classes_have_eight_shapes(here):
    masks = here("""() => ink.SHAPES.map((_, kind) => {
        const pen = Object.assign(document.createElement("canvas"), { width: 24, height: 24 }).getContext("2d");
        ink.shape(pen, kind, 12, 12, 7);
        pen.fill();
        return [...pen.getImageData(0, 0, 24, 24).data].filter((_, k) => k % 4 === 3).map((alpha) => alpha > 127);
    })""")
    masks = np.array(masks)
    assert len(masks) == 8
    for one, other in itertools.combinations(masks, 2):
        assert (one & other).sum() < 0.85 * (one | other).sum()
    here("clopsim.set({ classes: 8, lambda: 4, n: 64 })")
    assert text(here, "legend").startswith("● ■ ▲ ◆ ▼ ✚ ★ ▬ classes, c₁ to c₈ prototypes · ")
